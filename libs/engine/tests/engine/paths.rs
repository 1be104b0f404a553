//! What a step is called whatever came before it. Its number depends on the order in which loops have expanded.

use windlass_engine::{
    graph::NodeIndex,
    layout::{Holder, Layout},
    policy::ClusterIndex,
    record::StepIndex,
    run::Run,
};

/// A step's node, and the items that it lies in, the outermost first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Path {
    pub(crate) node: NodeIndex,
    pub(crate) items: Vec<u32>,
}

/// The path of a step.
pub(crate) fn path(layout: &Layout, step: StepIndex) -> Path {
    let mut items: Vec<u32> = upwards(layout, step)
        .filter_map(|step| match layout.holder(step) {
            Holder::Item(item) => Some(item.index),
            Holder::Run | Holder::Exit | Holder::Step(_) => None,
        })
        .collect();
    items.reverse();
    Path { node: layout.node(step), items }
}

/// A step, what holds it, what holds that, and so on.
pub(crate) fn upwards(layout: &Layout, step: StepIndex) -> impl Iterator<Item = StepIndex> + '_ {
    std::iter::successors(Some(step), |step| match layout.holder(*step) {
        Holder::Run | Holder::Exit => None,
        Holder::Step(holder) => Some(holder),
        Holder::Item(item) => Some(item.of),
    })
}

/// All clusters of a run.
pub(crate) fn clusters(run: &Run) -> impl Iterator<Item = ClusterIndex> + use<> {
    (0..run.graph().clusters().len() as u32).map(ClusterIndex)
}

/// The steps that are not superseded.
pub(crate) fn current(run: &Run) -> impl Iterator<Item = StepIndex> + '_ {
    run.layout().current(run.steps()).flatten().map(StepIndex)
}
