//! What conditions say, and of which names.

use windlass_pipeline::{condition::Condition, template::Reference};

use crate::known::evaluate;

/// Conditions are kept between events, by whichever thread comes next.
const fn is_shared<T: Send + Sync>() {}
const _: () = is_shared::<Condition>();

#[test]
fn what_is_true_is_true() {
    for text in [
        "true",
        "params.count == 3 && params.mode == 'full'",
        "params.mode != \"fast\" || false",
        "!(params.mode in ['fast', 'slow'])",
        "params.flag ? params.count > 2 : params.count < 2",
        "params.nothing == null",
        "params[\"count\"] == 3",
        "params.conf.rate < 1",
        "params.conf.deep['x-y'][0].z == 7",
        "params.list[1] == 2.5 && params.list[params.count - 1] == 3",
        "size(params.list) == 3 && params.empty.size() == 0",
        "params.word.size() == 5 && params.word.startsWith('π') && params.word.endsWith('ε')",
        "params.mode.contains('ul')",
        "params.mode + '-' + string(params.count) == 'full-3'",
        "int('12') == 12 && double('0.5') == params.rate && bool('true') && string(true) == 'true'",
        "type(params.count) == int && type(params.rate) == double && type(params.list) == list",
        "steps.load.outputs.rows >= 100 && steps.load.state == 'succeeded'",
        "steps['clean-up'].outputs.size == 5 && steps[\"clean-up\"].state == 'failed'",
        "item.name == 'a' && 'x' in item.tags && 'name' in item && index == 4",
        "loops['a-b'].item[1] == 8 && loops['a-b'].index == 1",
        "run.id.startsWith('run_') && run.state == 'failed'",
        // Macros and their variables, which hide names.
        "params.list.exists(x, x > 2) && params.list.all(x, x > 0)",
        "params.list.exists_one(x, x == 1) && params.list.existsOne(x, x == 1)",
        "params.list.map(x, x > 2) == [false, true, true] && params.list.map(x, x > 2, x) == [2.5, 3]",
        "params.list.filter(x, x > 1) == [2.5, 3]",
        "item.tags.map(tag, item.name + tag) == ['ax', 'ay']",
        "[{'item': 1}].all(params, params.item == 1)",
        "[[1, 2], [3]].all(xs, xs.exists(x, x > 1))",
        "params.conf.all(key, key.size() == 4)",
        // Numbers of both kinds compare by value.
        "params.rate < 1 && 1 > params.rate && params.whole == 2 && params.count == 3.0",
        "params.count >= 2.5 && 3u == params.count",
        "params.large == 9007199254740993 && params.beyond > 1e19",
        "double(params.count) * 0.5 == 1.5 && params.count / 2 == 1 && params.count % 2 == 1",
        // What is absent.
        "!has(params.other) && has(params.count)",
        "!has(steps.load.outputs.other) && has(steps.load.outputs.rows) && has(steps.load.state)",
        "!has(steps.other.outputs.x) && !has(steps[\"o-o\"].outputs.x) && !has(steps.other.state)",
        "has(item.name) && !has(item.other) && !has(params.conf.deep.z)",
        "!has(loops.other.item) && has(run.id)",
        "!has(params.other) || params.other > 3",
        "params.other > 3 || true",
        "// a comment\nparams.flag // and another",
    ] {
        assert_eq!(evaluate(text), Ok(true), "{text}");
    }
}

#[test]
fn what_is_false_is_false() {
    for text in [
        "false",
        "params.mode == 'fast'",
        "params.count == '3'",
        "params.nothing == false",
        "params.list == [1, 2.5]",
        "params.empty.exists(x, x == 1)",
        "has(params.other) && params.other > 3",
        "params.other > 3 && false",
        "steps.load.state in ['failed', 'cancelled']",
        "params.large == 9007199254740992",
    ] {
        assert_eq!(evaluate(text), Ok(false), "{text}");
    }
}

#[test]
fn names_are_told_once_in_order_of_first_use() {
    let told = |text: &str| -> Vec<String> {
        let condition = Condition::parse(text).unwrap();
        assert_eq!(condition.text(), text);
        condition.references().map(|reference| reference.to_string()).collect()
    };
    let text = "steps['a-b'].outputs.x > params.p && has(steps.a.state) && params['p'] == index \
                || loops.l.item.x == loops.l.index && run.id != run.state";
    insta::assert_snapshot!(told(text).join(" "), @"${{ steps.a-b.outputs.x }} ${{ params.p }} ${{ steps.a.state }} ${{ index }} ${{ loops.l.item }} ${{ loops.l.index }} ${{ run.id }} ${{ run.state }}");
    assert_eq!(
        told("item.a.b == item['c'] && item[params.p].d == 1"),
        ["${{ item }}", "${{ params.p }}"]
    );
    assert_eq!(told("params.conf.rate.x > 1 && size(params.conf) > 1"), ["${{ params.conf }}"]);
    let item = Condition::parse("item.a == loops.l.item.b").unwrap();
    let items: Vec<_> = item.references().collect();
    assert_eq!(
        items,
        [Reference::Item { of: None, path: "" }, Reference::Item { of: Some("l"), path: "" }]
    );
    // Variables of macros are no names, where they are in scope.
    assert_eq!(told("[1].exists(x, x > 1 && [x].all(params, params == x))"), [""; 0]);
    assert_eq!(
        told("params.p.exists(params, params.q) && params.r"),
        ["${{ params.p }}", "${{ params.r }}"]
    );
    assert!(Condition::parse("[1].exists(x, x > 1) && x == 1").is_err());
}
