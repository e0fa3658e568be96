//! What holds of all layers.

use proptest::collection::vec;
use proptest::prelude::*;

use super::naive::{Layer, Said, compose, lay, module};
use super::{Tree, fused, seen};

pub fn path() -> impl Strategy<Value = String> {
    vec(prop::sample::select(vec!["a", "b", "ab"]), 1..4).prop_map(|names| format!("/{}", names.join("/")))
}

fn said() -> impl Strategy<Value = Said> {
    let value = proptest::option::weighted(0.8, "[a-z]{0,3}");
    let list = prop::sample::select(vec!["n0", "r0", "b0", "n0,r32757", "n0,w32757"]).prop_map(String::from);
    let node = (path(), value, proptest::option::of(list))
        .prop_map(|(path, value, list)| Said::Node(path, value, list));
    prop_oneof![6 => node, 1 => path().prop_map(Said::Whiteout), 1 => path().prop_map(Said::Opaque)]
}

pub fn layer() -> impl Strategy<Value = Layer> {
    vec(said(), 0..9)
}

fn of(layers: &[&Layer]) -> Tree {
    seen(&mut fused(&module(layers)))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn the_store_fuses_as_the_rules_say(low in layer(), middle in layer(), up in layer()) {
        let mut expected = Tree::new();
        [&low, &middle, &up].into_iter().for_each(|layer| lay(&mut expected, layer));
        prop_assert_eq!(of(&[&low, &middle, &up]), expected);
    }

    #[test]
    fn it_does_not_matter_which_are_put_together_first(low in layer(), middle in layer(), up in layer()) {
        let all = of(&[&low, &middle, &up]);
        prop_assert_eq!(&of(&[&low, &compose(&middle, &up)]), &all);
        prop_assert_eq!(&of(&[&compose(&low, &middle), &up]), &all);
        prop_assert_eq!(&of(&[&compose(&low, &compose(&middle, &up))]), &all);
    }
}
