//! What one mapping, or one action of it, costs the others when it cannot be done.

use super::*;

fn question(id: &str) -> Arc<Event> {
    Arc::new(Event::builder(id, "/s", "com.example.question").build().unwrap())
}

const REPLYING: &str = "apiVersion: pipewright.dev/v1alpha1
kind: Mapping
metadata: {name: NAME}
spec:
  events: [{type: com.example.question}]
  do:
    - name: answer
      emit: {type: com.example.answer.NAME, to: reply}
    - name: tell
      emit: {type: com.example.told.NAME}
";

#[test]
fn a_mapping_that_cannot_be_computed_costs_only_itself() {
    let telling = |name: &str| REPLYING.replace("NAME", name).replace("to: reply", "to: default");
    let broken =
        telling("broken").replace("  do:", "  let: {ticket: {path: $.data.ticket, required: true}}\n  do:");
    let good = telling("good");
    for text in [format!("{broken}---\n{good}"), format!("{good}---\n{broken}")] {
        let plan = set(&text).plan(&[question("1"), question("2")]);
        let actions: Vec<&str> = plan.actions.iter().map(|it| it.origin().mapping.as_str()).collect();
        assert_eq!(actions, ["good"; 4]);
        let failures: Vec<String> =
            plan.failures.iter().map(|it| format!("{} {}", it.mapping, it.place)).collect();
        assert_eq!(failures, ["broken let.ticket"], "once, whatever the number of events");
    }
}

#[test]
fn of_two_answers_to_one_request_neither_is_given_and_all_else_is() {
    let (one, two) = (REPLYING.replace("NAME", "one"), REPLYING.replace("NAME", "two"));
    for (text, events, names) in [
        (format!("{one}---\n{two}"), vec![question("1")], vec!["one", "two"]),
        (one.clone(), vec![question("1"), question("2")], vec!["one"]),
    ] {
        let plan = set(&text).plan(&events);
        let told: Vec<&str> = plan.actions.iter().map(|it| it.origin().action.as_str()).collect();
        assert_eq!(told, ["tell", "tell"]);
        let failed: Vec<&str> = plan.failures.iter().map(|it| it.mapping.as_str()).collect();
        assert_eq!(failed, names);
        let reason = plan.failures[0].to_string();
        assert!(names.iter().all(|name| reason.contains(&format!("`{name}`, action `answer`"))), "{reason}");
    }
    // The same answer, asked for twice, is one.
    assert_eq!(set(&one).plan(&[question("1"), question("1")]).complete().unwrap().actions.len(), 2);
}

#[test]
fn two_answers_of_one_mapping_are_refused_unless_conditions_may_exclude_each_other() {
    let two = |first: &str, second: &str| {
        REPLYING.replace("NAME", "m").replace("- name: answer", &format!("- name: answer\n      {first}"))
            + &format!("    - name: again\n      {second}\n      emit: {{type: com.example.b, to: reply}}\n")
    };
    let when = |what: &str| format!("when: event.type == '{what}'");
    for text in [two("", ""), two(&when("a"), ""), two("", &when("a"))] {
        let file = File { path: "m.yaml".to_owned(), text: text.clone().into() };
        let report = MappingSet::compile(&[file], &Catalog::default()).unwrap_err();
        let codes: Vec<&str> = report.errors().map(|it| it.code).collect();
        assert_eq!(codes, ["two-replies"], "{text}");
    }
    assert_eq!(set(&two(&when("a"), &when("b"))).len(), 1);
}
