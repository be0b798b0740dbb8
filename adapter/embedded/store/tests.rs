use proptest::prelude::*;
use proptest::test_runner::FileFailurePersistence;

use super::*;

fn key(name: &str) -> Key {
    Key { id: Id::by_kind("v1", "ConfigMap").unwrap(), namespace: "n".to_owned(), name: name.to_owned() }
}

fn object(name: &str, data: &str) -> Value {
    json!({"metadata": {"namespace": "n", "name": name, "uid": name}, "data": {"x": data}})
}

#[test]
fn a_past_version_is_the_present_with_later_changes_taken_back() {
    let mut store = Store::new(10, Limits { changes: 100, bytes: 1 << 20 });
    store.put(&key("a"), object("a", "1"));
    store.put(&key("b"), object("b", "1"));
    let then = store.version();
    store.put(&key("a"), object("a", "2"));
    store.put(&key("a"), object("a", "3"));
    store.remove(&key("b"));
    store.put(&key("c"), object("c", "1"));
    let selector = Selector::default();
    let page =
        Page { id: key("").id, namespace: "n", after: None, version: then, limit: 9, selector: &selector };
    let (list, more) = store.list(&page).unwrap();
    assert!(!more);
    let list: Vec<_> = list.iter().map(|o| (o.version, object::name(&o.value))).collect();
    assert_eq!(list, [(11, "a"), (12, "b")]);
    let after = ("n".to_owned(), "a".to_owned());
    let (list, _) = store.list(&Page { namespace: "", after: Some(&after), ..page }).unwrap();
    assert_eq!(list.len(), 1);
    let (list, more) = store.list(&Page { limit: 1, ..page }).unwrap();
    assert_eq!((list.len(), more), (1, true));
    let (list, _) = store.list(&Page { version: store.version(), ..page }).unwrap();
    let list: Vec<_> = list.iter().map(|o| (o.version, object::name(&o.value))).collect();
    assert_eq!(list, [(14, "a"), (16, "c")]);
}

#[test]
fn the_log_is_bounded_and_says_what_it_forgot() {
    let mut store = Store::new(0, Limits { changes: 3, bytes: 1 << 20 });
    for n in 0..10 {
        store.put(&key("a"), object("a", &n.to_string()));
    }
    assert_eq!(store.changes(key("").id, 7, 100).unwrap().len(), 3);
    assert!(store.changes(key("").id, 6, 100).is_err());
    store.compact();
    assert!(store.changes(key("").id, 10, 100).is_err());
    assert!(store.changes(key("").id, store.version(), 100).unwrap().is_empty());
}

/// A write: the object, and its labels or that it goes.
#[derive(Clone, Debug)]
struct Write {
    namespace: &'static str,
    name: &'static str,
    labels: Option<Vec<(&'static str, &'static str)>>,
}

fn writes() -> impl Strategy<Value = Vec<Write>> {
    let label = (prop::sample::select(vec!["app", "tier"]), prop::sample::select(vec!["a", "b", "c"]));
    let namespaces = prop::sample::select(vec!["m", "n"]);
    let names = prop::sample::select(vec!["u", "v", "w", "x", "y"]);
    let write = (namespaces, names, prop::option::weighted(0.8, prop::collection::vec(label, 0..3)))
        .prop_map(|(namespace, name, labels)| Write { namespace, name, labels });
    prop::collection::vec(write, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("../../tests/proptest-regressions/store.txt"))),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_index_of_labels_finds_what_a_scan_finds_in_the_same_order(
        writes in writes(),
        selector in prop::sample::select(vec![
            "", "app=a", "app==b,tier=c", "app in (a)", "app in (a,b)", "app!=a", "tier", "!tier", "app=a,!tier",
            "gone=a",
        ]),
        namespace in prop::sample::select(vec!["", "m", "n", "o"]),
        after in prop::option::of((prop::sample::select(vec!["m", "n"]), prop::sample::select(vec!["u", "w", "z"]))),
        limit in 1_usize..8,
    ) {
        let id = key("").id;
        let mut store = Store::new(0, Limits { changes: 1000, bytes: 1 << 20 });
        for Write { namespace, name, labels } in &writes {
            let key = Key { namespace: (*namespace).to_owned(), ..key(name) };
            match labels {
                Some(labels) => {
                    let labels: HashMap<_, _> = labels.iter().copied().collect();
                    let metadata = json!({"namespace": namespace, "name": name, "uid": name, "labels": labels});
                    store.put(&key, json!({"metadata": metadata}));
                }
                None => {
                    store.remove(&key);
                }
            }
        }
        let selector = Selector::parse(id, selector, "").unwrap();
        let after = after
            .filter(|(ns, _)| namespace.is_empty() || *ns == namespace)
            .map(|(ns, name)| (ns.to_owned(), name.to_owned()));
        let version = store.version();
        let page = Page { id, namespace, after: after.as_ref(), version, limit, selector: &selector };
        let mut scan: Vec<_> = store
            .range(id, namespace, after.as_ref())
            .filter(|(_, object)| selector.matches(&object.value))
            .map(|(_, object)| object.version)
            .collect();
        let all: Vec<_> =
            store.range(id, namespace, after.as_ref()).map(|(_, object)| object.version).collect();
        scan.truncate(limit);
        let more = scan.len() == limit && scan.last() != all.last();
        let (found, truncated) = store.list(&page).unwrap();
        prop_assert_eq!(found.iter().map(|it| it.version).collect::<Vec<_>>(), scan);
        prop_assert_eq!(truncated, more);

        // What is gone leaves nothing behind.
        for key in store.contents("m").into_iter().chain(store.contents("n")) {
            store.remove(&key);
        }
        prop_assert!(store.shelves[id.index()].labels.0.is_empty());
    }
}
