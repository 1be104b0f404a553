//! How operators run Windlass: what `compose.yaml`, the `Dockerfile` and `docs/distributed.md` say is tried, as far as that is
//! possible without a container engine. Nothing here builds an image or starts a container.

mod dockerfile;
mod documented;
mod file;
mod program;
mod rights;
mod services;
mod stand;
