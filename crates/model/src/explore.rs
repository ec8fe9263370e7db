//! Goes through every state that can be reached, breadth first, so that the way to a broken property is the shortest. States
//! are kept whole, not as hashes: two are never taken for one. The edges that no mischief makes are kept too, to tell
//! whether every state still leads to an end.

use std::hash::Hash;

use crate::intern::Map;

/// A step from a state to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Step<S, A> {
    pub(crate) action: A,
    /// Whether it comes by itself, sooner or later, as long as it is possible: no mischief.
    pub(crate) is_fair: bool,
    pub(crate) to: S,
}

/// What can be gone through.
pub(crate) trait Space {
    type State: Copy + Eq + Hash;
    type Action: Copy;
    type Broken: Copy;

    fn starts(&mut self) -> Vec<Self::State>;

    /// All steps from a state.
    fn steps(&mut self, from: &Self::State, steps: &mut Vec<Step<Self::State, Self::Action>>);

    /// The property that a state breaks. Nothing is looked for beyond such a state.
    fn broken(&mut self, state: &Self::State) -> Option<Self::Broken>;

    /// Whether everything has come to its end.
    fn is_end(&mut self, state: &Self::State) -> bool;
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Explored<S, A, B> {
    pub(crate) states: usize,
    pub(crate) steps: usize,
    /// Steps of the longest of the shortest ways to a state.
    pub(crate) depth: usize,
    pub(crate) ends: usize,
    /// The shortest way to a broken property.
    pub(crate) counterexample: Option<Found<S, A, B>>,
    /// Whether the search was given up for want of room.
    pub(crate) is_cut_short: bool,
}

/// A way that shows something.
#[derive(Debug)]
pub(crate) struct Found<S, A, B> {
    /// The broken property; none where it is that no end can be reached from the last state.
    pub(crate) broken: Option<B>,
    pub(crate) start: S,
    pub(crate) way: Vec<(A, S)>,
}

const NO_PARENT: u32 = u32::MAX;

struct Tree<S, A> {
    states: Vec<S>,
    parents: Vec<(u32, Option<A>)>,
    numbers: Map<S, u32>,
}

impl<S: Copy + Eq + Hash, A: Copy> Tree<S, A> {
    fn add(&mut self, state: S, parent: u32, action: Option<A>) -> (u32, bool) {
        let next = u32::try_from(self.states.len()).unwrap_or(u32::MAX);
        let number = *self.numbers.entry(state).or_insert(next);
        if number == next {
            self.states.push(state);
            self.parents.push((parent, action));
        }
        (number, number == next)
    }

    fn way_to<B>(&self, mut number: u32, broken: Option<B>) -> Found<S, A, B> {
        let mut way = Vec::new();
        while let (parent, Some(action)) = self.parents[number as usize] {
            way.push((action, self.states[number as usize]));
            number = parent;
        }
        way.reverse();
        Found { broken, start: self.states[number as usize], way }
    }
}

/// Goes through the space, up to so many states.
pub(crate) fn explore<P: Space>(space: &mut P, most_states: usize) -> Explored<P::State, P::Action, P::Broken> {
    let mut tree = Tree { states: Vec::new(), parents: Vec::new(), numbers: Map::default() };
    let mut fair: Vec<(u32, u32)> = Vec::new();
    let mut ends: Vec<u32> = Vec::new();
    let mut explored = Explored { states: 0, steps: 0, depth: 0, ends: 0, counterexample: None, is_cut_short: false };
    for start in space.starts() {
        tree.add(start, NO_PARENT, None);
    }
    let mut steps = Vec::new();
    let (mut next, mut level_ends) = (0, tree.states.len());
    while next < tree.states.len() {
        if next == level_ends {
            explored.depth += 1;
            level_ends = tree.states.len();
        }
        if tree.states.len() > most_states {
            explored.is_cut_short = true;
            break;
        }
        let (state, number) = (tree.states[next], u32::try_from(next).unwrap_or(u32::MAX));
        next += 1;
        if let Some(broken) = space.broken(&state) {
            explored.counterexample = Some(tree.way_to(number, Some(broken)));
            break;
        }
        if space.is_end(&state) {
            ends.push(number);
        }
        steps.clear();
        space.steps(&state, &mut steps);
        explored.steps += steps.len();
        for Step { action, is_fair, to } in steps.drain(..) {
            let (to, _) = tree.add(to, number, Some(action));
            if is_fair && to != number {
                fair.push((to, number));
            }
        }
    }
    explored.states = tree.states.len();
    explored.ends = ends.len();
    if explored.counterexample.is_none() && !explored.is_cut_short {
        let stuck = first_without_end(tree.states.len(), &mut fair, ends);
        explored.counterexample = stuck.map(|number| tree.way_to(number, None));
    }
    explored
}

/// The first state from which no fair steps lead to an end. `edges` are fair steps backwards.
fn first_without_end(states: usize, edges: &mut [(u32, u32)], ends: Vec<u32>) -> Option<u32> {
    edges.sort_unstable();
    let mut reaches = vec![false; states];
    for end in &ends {
        reaches[*end as usize] = true;
    }
    let mut open = ends;
    while let Some(to) = open.pop() {
        let first = edges.partition_point(|edge| edge.0 < to);
        for (_, from) in edges[first..].iter().take_while(|edge| edge.0 == to) {
            if !std::mem::replace(&mut reaches[*from as usize], true) {
                open.push(*from);
            }
        }
    }
    reaches.iter().position(|reaches| !reaches).and_then(|number| u32::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, and the steps from each: those below zero are mischief.
    struct Graph(Vec<(u32, Vec<(u32, bool)>)>);

    impl Space for Graph {
        type State = u32;
        type Action = u32;
        type Broken = ();

        fn starts(&mut self) -> Vec<u32> {
            vec![0]
        }

        fn steps(&mut self, from: &u32, steps: &mut Vec<Step<u32, u32>>) {
            let to = self.0.iter().filter(|(node, _)| node == from).flat_map(|(_, to)| to.clone());
            steps.extend(to.map(|(to, is_fair)| Step { action: to, is_fair, to }));
        }

        fn broken(&mut self, state: &u32) -> Option<()> {
            (*state == 13).then_some(())
        }

        fn is_end(&mut self, state: &u32) -> bool {
            *state == 9
        }
    }

    #[test]
    fn the_shortest_way_to_a_broken_property_is_told() {
        let edges =
            vec![(0, vec![(1, true), (2, true)]), (1, vec![(3, true)]), (2, vec![(13, false)]), (3, vec![(13, true)])];
        let found = explore(&mut Graph(edges), 100).counterexample.unwrap();
        assert_eq!(found.way, [(2, 2), (13, 13)]);
    }

    #[test]
    fn a_cycle_is_no_harm_where_a_fair_step_leads_out() {
        let edges = vec![(0, vec![(1, true)]), (1, vec![(0, true), (9, true)])];
        let explored = explore(&mut Graph(edges), 100);
        assert!(explored.counterexample.is_none());
        assert_eq!((explored.states, explored.steps, explored.ends, explored.depth), (3, 3, 1, 2));
    }

    #[test]
    fn a_state_that_only_mischief_leaves_is_stuck() {
        let edges = vec![(0, vec![(1, true), (9, true)]), (1, vec![(2, true), (9, false)]), (2, vec![(1, true)])];
        let found = explore(&mut Graph(edges), 100).counterexample.unwrap();
        assert!(found.broken.is_none());
        assert_eq!(found.way, [(1, 1)]);
    }

    #[test]
    fn a_search_that_is_cut_short_says_so() {
        let edges = vec![(0, vec![(1, true)]), (1, vec![(2, true)]), (2, vec![(9, true)])];
        assert!(explore(&mut Graph(edges), 2).is_cut_short);
    }
}
