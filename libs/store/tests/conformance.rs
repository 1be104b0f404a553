//! Each store has all properties of a store.

mod memory {
    use windlass_store::MemoryStore;

    windlass_store::conformance_tests!(async || ((), MemoryStore::new()));
}

mod sqlite {
    use windlass_store::SqliteStore;

    windlass_store::conformance_tests!(async || {
        let directory = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(directory.path().join("windlass.db")).unwrap();
        (directory, store)
    });
}
