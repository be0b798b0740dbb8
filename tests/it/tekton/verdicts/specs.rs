//! Specs of PipelineRuns out of the fields that a mapping may write, right and wrong ones, from a seed.

use serde_json::{Map, Value, json};

/// A small generator of our own, so that a seed means the same for ever (Steele et al., "`SplitMix`").
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        // The states of the generator are a step apart: two seeds shall not be two places of one sequence.
        let mut mixed = Self(seed);
        Self(mixed.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// A slip of the pen: so rare that about half of the specs are right.
    fn slips(&mut self) -> bool {
        self.below(1000) < 14
    }

    fn name(&mut self, right: &[&str]) -> Value {
        if self.slips() {
            self.pick(&[
                json!("Not_A Name"),
                json!(""),
                json!(5),
                json!("-x"),
                json!("a.b"),
                json!("x".repeat(64)),
                json!(null),
            ])
        } else {
            json!(self.pick(right))
        }
    }

    fn few(&mut self, most: usize, mut make: impl FnMut(&mut Self, usize) -> Value) -> Value {
        let count = self.below(most + 1);
        Value::Array((0..count).map(|at| make(self, at)).collect())
    }
}

const PARAMS: &[&str] = &["url", "revision", "list", "image", "on"];
const TASKS: &[&str] = &["build", "test", "lint", "ship"];
const RESULTS: &[&str] = &["digest", "files", "image"];
const WORKSPACES: &[&str] = &["source", "cache", "auth"];

/// One spec of a PipelineRun.
pub fn spec(random: &mut Random) -> Value {
    let mut spec = json!({});
    let inline = random.chance(65);
    if inline || random.slips() {
        spec["pipelineSpec"] = pipeline(random, 0);
    }
    if !inline || random.slips() {
        spec["pipelineRef"] = reference(random, true);
    }
    if random.slips() {
        spec[random.pick(&["pipelineRef", "pipelineSpec"])] =
            random.pick(&[json!("build"), json!({}), json!(null), json!([])]);
    }
    if random.chance(70) {
        spec["params"] = given(random, 4);
    }
    if random.slips() {
        spec["params"] = random.pick(&[
            json!({"a": "b"}),
            json!(null),
            json!([]),
            json!([{"name": "x"}]),
            json!([{"value": "x"}]),
            json!([{"name": "x", "vlaue": "y"}]),
            json!(["x"]),
        ]);
    }
    if random.chance(40) {
        spec["timeouts"] = timeouts(random);
    }
    if random.chance(40) {
        spec["workspaces"] = random.few(3, binding);
    }
    if random.chance(30) {
        spec["taskRunTemplate"] = task_run_template(random);
    }
    if random.chance(30) {
        spec["taskRunSpecs"] = random.few(2, |random, _| task_run_spec(random));
    }
    if random.chance(10) {
        spec["status"] = json!(random.pick(&[
            "PipelineRunPending",
            "Cancelled",
            "CancelledRunFinally",
            "StoppedRunFinally",
            ""
        ]));
    }
    if random.slips() {
        spec["status"] = random.pick(&[json!("Stopped"), json!("cancelled"), json!(1), json!({})]);
    }
    if random.chance(10) {
        spec["managedBy"] =
            random.pick(&[json!("example.com/other"), json!(""), json!("tekton.dev/pipeline")]);
    }
    if random.slips() {
        spec["managedBy"] = json!(7);
    }
    if random.slips() {
        spec[random.pick(&["serviceAccountName", "timeout", "podTemplate", "Params"])] = json!("x");
    }
    spec
}

fn reference(random: &mut Random, of_pipeline: bool) -> Value {
    let mut reference = json!({});
    if random.chance(75) {
        reference["name"] =
            json!(random.pick(&["build", "golang-test", "a.b-c", "Build_1", "example.com/build"]));
    } else {
        reference["resolver"] = json!(random.pick(&["git", "cluster", "hub", "bundles"]));
        if random.chance(80) {
            reference["params"] = given(random, 3);
        }
    }
    if random.slips() {
        reference["name"] = random.pick(&[
            json!("not a name"),
            json!(""),
            json!("https://example.com/x"),
            json!("a/b/c"),
            json!("x".repeat(64)),
            json!(1),
            json!("{{x}}"),
            json!("/x"),
            json!("A/x"),
        ]);
    }
    if random.slips() {
        reference["resolver"] = random.pick(&[json!(""), json!("git"), json!(true)]);
    }
    if random.slips() {
        reference["params"] = given(random, 2);
    }
    if random.slips() {
        reference["apiVersion"] = json!(random.pick(&["tekton.dev/v1", "example.com/v1", "v1", "a/b/c"]));
    }
    if !of_pipeline && random.chance(10) {
        reference["kind"] = json!("Task");
    }
    if !of_pipeline && random.chance(8) {
        reference["apiVersion"] = json!("example.com/v1");
        reference["kind"] = json!(random.pick(&["Approval", "Wait"]));
    }
    if random.slips() {
        reference["kind"] = json!(random.pick(&["ClusterTask", "Task", "Approval", ""]));
    }
    if random.slips() {
        reference["bundle"] = json!("x");
    }
    reference
}

/// A text that may refer to things.
fn text(random: &mut Random) -> String {
    let plain = ["main", "https://example.com/x.git", "", "a $ b", "$(", "x"];
    match random.below(10) {
        0..5 => random.pick(&plain).to_owned(),
        5..8 => format!(
            "{}$(params.{}){}",
            random.pick(&["", "", "v"]),
            random.pick(PARAMS),
            random.pick(&["", "", "/x"])
        ),
        8 => random
            .pick(&[
                "$(context.pipelineRun.name)",
                "$(context.pipelineRun.uid)",
                "$(context.pipeline.name)",
                "$(context.pipelineTask.retries)",
                "$(workspaces.source.bound)",
            ])
            .to_owned(),
        _ if random.chance(30) => random
            .pick(&[
                "$(params.nobody)",
                "$(params['url'])",
                "$(params[\"nobody\"])",
                "$(params.list[*])",
                "$(params.list[0])",
                "$(params.image.name)",
                "$(params.image.nobody)",
                "$(params.image[*])",
                "x $(params.list[*])",
                "$(params.a.b.c)",
                "$(context.pipelineRun.nobody)",
                "$(context.nobody)",
                "$(date)",
                "$(tasks.build.status)",
                "$(tasks.status)",
                "$(tasks.build.results.digest)",
                "$(tasks.nobody.results.x)",
                "$(finally.ship.results.digest)",
                "$(tasks.build.results.a.b.c)",
                "$(tasks.build.outputs.image)",
                "$(steps.a.results.x)",
                "$(tasks.nobody.reason)",
                "$$(params.url)",
                "$(inputs.params.url)",
                "$(results.digest.path)",
                "$(params.url",
                "$(params.list[x])",
                "$(params.)",
            ])
            .to_owned(),
        _ => "plain".to_owned(),
    }
}

fn value(random: &mut Random) -> Value {
    match random.below(12) {
        0..7 => json!(text(random)),
        7 => json!([text(random), text(random)]),
        8 => json!({"name": text(random), "tag": "x"}),
        9 => random.pick(&[json!(5), json!(true), json!(1.5), json!([]), json!({}), json!(0)]),
        10 => random.pick(&[
            json!([1, 2]),
            json!(["a", 1]),
            json!({"a": 1}),
            json!([["a"]]),
            json!({"a": {"b": "c"}}),
            json!(["a", null]),
            json!({"a": null}),
        ]),
        _ => json!("x"),
    }
}

/// Params that are given.
fn given(random: &mut Random, most: usize) -> Value {
    let mut names: Vec<&str> = PARAMS.to_vec();
    random.few(most, |random, _| {
        let name = if random.slips() || names.is_empty() {
            random.name(PARAMS)
        } else {
            let at = random.below(names.len());
            json!(names.remove(at))
        };
        let mut param = json!({"name": name, "value": value(random)});
        if random.slips() {
            param["value"] = json!(null);
        }
        if random.slips() {
            let members = param.as_object_mut().unwrap();
            members.remove(random.pick(&["name", "value"]));
        }
        if random.slips() {
            param["description"] = json!("x");
        }
        param
    })
}

fn timeouts(random: &mut Random) -> Value {
    let mut timeouts = json!({});
    for (field, right) in [
        ("pipeline", &["2h", "1h0m0s", "90m", "0", "3h30m"][..]),
        ("tasks", &["30m", "1h", "59m59s"]),
        ("finally", &["1m", "30m", "100ms"]),
    ] {
        if random.chance(60) {
            timeouts[field] = json!(random.pick(right));
        }
        if random.slips() {
            timeouts[field] = random.pick(&[
                json!("1 hour"),
                json!("-1m"),
                json!(60),
                json!("5"),
                json!(""),
                json!("0s"),
                json!("1d"),
                json!(null),
                json!("10h"),
                json!("+1m"),
                json!(".5h"),
                json!("1h 5m"),
            ]);
        }
    }
    if random.slips() {
        timeouts["task"] = json!("1h");
    }
    timeouts
}

fn binding(random: &mut Random, at: usize) -> Value {
    let sources: [(&str, Value); 7] = [
        ("emptyDir", json!({})),
        ("persistentVolumeClaim", json!({"claimName": "x"})),
        ("configMap", json!({"name": "x", "items": [{"key": "a", "path": "b"}]})),
        ("secret", json!({"secretName": "x", "defaultMode": 256})),
        (
            "volumeClaimTemplate",
            json!({"metadata": {"labels": {"a": "b"}}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}),
        ),
        ("csi", json!({"driver": "x", "volumeAttributes": {"a": "b"}})),
        ("projected", json!({"sources": [{"secret": {"name": "x"}}]})),
    ];
    let mut binding = json!({"name": WORKSPACES[at % 3]});
    let (source, volume) = random.pick(&sources);
    binding[source] = volume;
    if random.chance(20) {
        binding["subPath"] = json!("a/b");
    }
    if random.slips() {
        let (source, _) = random.pick(&sources);
        binding[source] = random.pick(&[json!({}), json!(null), json!("x"), json!({"nobody": "x"})]);
    }
    if random.slips() {
        let (source, volume) = random.pick(&sources);
        binding[source] = volume;
    }
    if random.slips() {
        binding = random.pick(&[json!({}), json!({"name": "x"}), json!({"name": "x", "emptyDir": null}), json!("x"), json!({"emptyDir": {"sizeLimit": "much"}, "name": "y"}), json!({"emptyDir": {"sizeLimit": "1Gi"}, "name": "y"}), json!({"emptyDir": {}}), json!({"name": "v", "volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "lots"}}}}}), json!({"name": "v", "volumeClaimTemplate": {"spec": {"nobody": 1}}})]);
    }
    if random.slips() {
        binding["name"] = json!(WORKSPACES[0]);
    }
    binding
}

fn task_run_template(random: &mut Random) -> Value {
    let mut template = json!({"serviceAccountName": random.pick(&["builder", "default"])});
    if random.chance(40) {
        template["podTemplate"] = json!({"nodeSelector": {"a": "b"}, "env": [{"name": "A", "value": "b"}], "tolerations": [{"key": "x", "operator": "Exists"}]});
    }
    if random.slips() {
        template["podTemplate"] = random.pick(&[
            json!("x"),
            json!({"nodeSelector": ["a"]}),
            json!({"nobody": 1}),
            json!({"hostNetwork": "yes"}),
            json!({"securityContext": {"runAsUser": 1}}),
            json!({"env": {"A": "b"}}),
            json!({"tolerations": [{"tolerationSeconds": "x"}]}),
        ]);
    }
    if random.slips() {
        template["serviceAccountName"] = random.pick(&[json!(1), json!(null), json!("")]);
    }
    template
}

fn task_run_spec(random: &mut Random) -> Value {
    let mut spec = json!({"pipelineTaskName": random.pick(TASKS)});
    if random.chance(40) {
        spec["timeout"] = random.pick(&[json!("10m"), json!("59m"), json!("1s")]);
    }
    if random.slips() {
        spec["timeout"] = random.pick(&[json!("-1s"), json!("5h"), json!("x"), json!("0"), json!(5)]);
    }
    if random.chance(30) {
        spec["stepSpecs"] = json!([{"name": "a", "computeResources": {"requests": {"cpu": "1"}}}]);
    }
    if random.slips() {
        spec["stepSpecs"] = random.pick(&[
            json!([{"computeResources": {}}]),
            json!([{"name": "a"}, {"name": "A"}]),
            json!([{"name": "a", "computeResources": {"limits": {"cpu": "much"}}}]),
            json!("x"),
            json!([]),
            json!([{"name": "a"}, {"name": "b"}]),
        ]);
    }
    if random.slips() {
        spec["computeResources"] = random.pick(&[
            json!({"requests": {"cpu": 1, "memory": "1Gi"}}),
            json!({}),
            json!({"limits": {"cpu": "-"}}),
            json!({"limits": {"cpu": "1.5"}}),
        ]);
    }
    if random.slips() {
        spec["sidecarSpecs"] = random.pick(&[
            json!([{"name": ""}]),
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{"name": "a"}]),
        ]);
    }
    if random.chance(20) {
        spec["metadata"] = json!({"labels": {"a": "b"}});
    }
    if random.slips() {
        spec["metadata"] =
            random.pick(&[json!({"labels": {"a": 1}}), json!([]), json!({"labels": {"a": null}})]);
    }
    spec
}

/// A declared param.
fn declared(random: &mut Random, name: &str) -> Value {
    let mut param = match random.below(6) {
        0 => json!({"name": name, "type": "array"}),
        1 => json!({"name": name, "type": "object", "properties": {"name": {}, "tag": {"type": "string"}}}),
        2 => json!({"name": name, "type": "string", "description": "x"}),
        3 => json!({"name": name, "default": text(random)}),
        _ => json!({ "name": name }),
    };
    if random.chance(10) {
        param["default"] = random.pick(&[
            json!("x"),
            json!(["a"]),
            json!({"name": "a", "tag": "b"}),
            json!([]),
            json!({}),
            json!(1),
            json!(null),
        ]);
    }
    if random.slips() {
        param["type"] = random.pick(&[
            json!("number"),
            json!("String"),
            json!(""),
            json!("array"),
            json!("object"),
            json!(1),
        ]);
    }
    if random.slips() {
        param["properties"] = random.pick(&[
            json!({}),
            json!({"a": {"type": "number"}}),
            json!({"a.b": {}}),
            json!(null),
            json!({"name": {"type": "string"}}),
            json!({"a": "string"}),
        ]);
    }
    if random.slips() {
        param["enum"] = random.pick(&[json!(["a", "b"]), json!([]), json!(["a", "a"])]);
    }
    if random.slips() {
        param["name"] = random.name(PARAMS);
    }
    if random.slips() {
        param["required"] = json!(true);
    }
    param
}

fn declarations(random: &mut Random, percent: usize) -> Value {
    let mut params = Vec::new();
    for name in PARAMS {
        if random.chance(percent) {
            params.push(declared(random, name));
        }
    }
    if random.slips() {
        params.push(declared(random, "url"));
    }
    Value::Array(params)
}

fn pipeline(random: &mut Random, depth: usize) -> Value {
    let mut spec = json!({});
    if random.chance(85) {
        spec["params"] = declarations(random, 70);
    }
    let count = 1 + random.below(3);
    let mut tasks: Vec<Value> = (0..count).map(|at| task(random, at, false, depth)).collect();
    if random.slips() {
        let again = tasks[0].clone();
        tasks.push(again);
    }
    if random.chance(50) {
        random.shuffle(&mut tasks);
    }
    spec["tasks"] = Value::Array(tasks);
    if random.chance(30) {
        spec["finally"] = json!([task(random, 3, true, depth)]);
    }
    if random.chance(40) {
        spec["workspaces"] = json!([{"name": "source"}, {"name": "cache", "optional": true}]);
    }
    if random.slips() {
        spec["workspaces"] = random.pick(&[
            json!([{"name": ""}]),
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{}]),
            json!([{"name": "a", "optional": "no"}]),
        ]);
    }
    if random.chance(30) {
        spec["results"] = random.few(2, |random, _| pipeline_result(random));
    }
    if random.chance(10) {
        spec["description"] = json!("x");
    }
    if random.slips() {
        spec["tasks"] = random.pick(&[json!([]), json!(null), json!({}), json!([{}])]);
    }
    if random.slips() {
        spec[random.pick(&["resources", "Tasks", "task", "serviceAccountName", "DESCRIPTION"])] =
            random.pick(&[json!([]), json!("x")]);
    }
    spec
}

fn pipeline_result(random: &mut Random) -> Value {
    let task = if random.slips() { "nobody" } else { TASKS[0] };
    let mut result = json!({"name": random.name(RESULTS), "value": format!("$(tasks.{task}.results.{})", random.pick(RESULTS))});
    if random.chance(20) {
        result["type"] = json!(random.pick(&["string", "array", "object"]));
    }
    if random.slips() {
        result["value"] = random.pick(&[
            json!("x"),
            json!("$(params.url)"),
            json!("$(tasks.build.results.digest) $(tasks.build.results.files)"),
            json!("v-$(tasks.build.results.digest)"),
            json!(["$(tasks.build.results.digest)"]),
            json!({"a": "$(tasks.build.results.digest)"}),
            json!(null),
            json!("$(tasks.build.status)"),
            json!("$(finally.ship.results.digest)"),
            json!("$(tasks.build.results.digest[0])"),
            json!("$(tasks.build.results.image.name)"),
            json!("$(tasks.build.results.a.b.c)"),
            json!(["$(tasks.nobody.results.digest)"]),
            json!(""),
            json!(1),
        ]);
    }
    if random.slips() {
        result.as_object_mut().unwrap().remove("value");
    }
    result
}

fn task(random: &mut Random, at: usize, last: bool, depth: usize) -> Value {
    let mut task = json!({"name": TASKS[at]});
    if random.slips() {
        task["name"] = random.name(TASKS);
    }
    let inline = random.chance(60);
    if inline || random.slips() {
        task["taskSpec"] = task_spec(random);
    }
    if !inline || random.slips() {
        task["taskRef"] = reference(random, false);
    }
    if random.slips() && depth == 0 {
        let nested = pipeline(random, 1);
        task[random.pick(&["pipelineSpec", "pipelineRef"])] =
            random.pick(&[json!({"name": "x"}), nested, json!({})]);
    }
    if random.chance(60) {
        task["params"] = given(random, 3);
    }
    if random.chance(25) && at > 0 {
        let result = format!(
            "$(tasks.{}.results.{}{})",
            TASKS[random.below(at)],
            random.pick(RESULTS),
            random.pick(&["", "", "[*]", "[0]", ".name"])
        );
        let param = json!({"name": "from", "value": random.pick(&[json!(result), json!([result]), json!(format!("x {result}"))])});
        match task.get_mut("params").and_then(Value::as_array_mut) {
            Some(params) => params.push(param),
            None => task["params"] = json!([param]),
        }
    }
    if random.chance(25) && at > 0 && !last {
        task["runAfter"] = json!([TASKS[random.below(at)]]);
    }
    if random.slips() {
        task["runAfter"] = random.pick(&[
            json!(["nobody"]),
            json!([TASKS[at]]),
            json!(["ship", "build"]),
            json!("build"),
            json!([]),
            json!([1]),
            json!(["test"]),
        ]);
    }
    if random.chance(25) {
        task["when"] = random.few(2, |random, _| when(random));
    }
    if random.chance(20) {
        task["matrix"] = matrix(random);
    }
    if random.chance(25) {
        task["workspaces"] = random.pick(&[
            json!([{"name": "source"}]),
            json!([{"name": "in", "workspace": "source"}]),
            json!([{"name": "a", "workspace": "nobody"}]),
            json!([{"name": "a"}, {"name": "a"}]),
        ]);
    }
    if random.chance(15) {
        task["retries"] = json!(random.below(3));
    }
    if random.slips() {
        task["retries"] = random.pick(&[json!(-1), json!("2"), json!(1.5), json!(1.0), json!(null)]);
    }
    if random.chance(15) {
        task["timeout"] = json!("10m");
    }
    if random.slips() {
        task["timeout"] = random.pick(&[json!("x"), json!("-1m"), json!(10), json!("0")]);
    }
    if random.chance(8) {
        task["onError"] = json!(random.pick(&["continue", "stopAndFail", "$(params.on)"]));
    }
    if random.slips() {
        task["onError"] = random.pick(&[json!("ignore"), json!(""), json!(true), json!("continue")]);
    }
    if random.slips() {
        task[random.pick(&["conditions", "resources", "runafter", "RunAfter", "step", "labels"])] =
            random.pick(&[json!([]), json!(["build"]), json!("x")]);
    }
    task
}

fn when(random: &mut Random) -> Value {
    let mut when =
        json!({"input": text(random), "operator": random.pick(&["in", "notin"]), "values": [text(random)]});
    if random.slips() {
        when = random.pick(&[
            json!({}),
            json!({"input": "a", "operator": "in", "values": []}),
            json!({"input": "a", "operator": "=", "values": ["b"]}),
            json!({"cel": "'a' == 'b'"}),
            json!({"input": "a"}),
            json!(null),
            json!("a in b"),
            json!({"input": 1, "operator": "in", "values": ["a"]}),
            json!({"input": "a", "operator": "in", "values": ["$(params.list[*])"]}),
            json!({"input": "", "operator": "in", "values": [""]}),
            json!({"operator": "notin", "values": ["x"]}),
            json!({"Input": "a", "Operator": "in", "Values": ["x"]}),
            json!({"input": "$(tasks.build.results.digest)", "operator": "in", "values": ["x"]}),
            json!({"input": "$(params.list[*])", "operator": "in", "values": ["x"]}),
            json!({"input": "a", "operator": "in", "values": "a"}),
        ]);
    }
    when
}

fn matrix(random: &mut Random) -> Value {
    let mut matrix = json!({});
    if random.chance(80) {
        matrix["params"] = json!([{"name": "platform", "value": ["linux", text(random)]}]);
    }
    if random.chance(40) {
        matrix["include"] = json!([{"name": "one", "params": [{"name": random.pick(&["platform", "flags"]), "value": text(random)}]}]);
    }
    if random.slips() {
        matrix["params"] = random.pick(&[
            json!([{"name": "platform", "value": "$(params.list[*])"}]),
            json!([{"name": "a", "value": ["x"]}, {"name": "a", "value": ["y"]}]),
            json!([{"name": "url", "value": ["x"]}]),
            json!([{"name": "big", "value": vec!["x"; 257]}]),
            json!([{"name": "platform"}]),
            json!([{"name": "platform", "value": "linux"}]),
            json!({"platform": ["a"]}),
            json!([{"name": "a", "value": vec!["x"; 20]}, {"name": "b", "value": vec!["x"; 13]}]),
            json!([{"name": "a", "value": [1, 2]}]),
            json!([]),
            json!([{"name": "p", "value": ["$(tasks.build.results.files[*])"]}]),
            json!([{"name": "p", "value": "$(tasks.build.results.files[*])"}]),
        ]);
    }
    if random.slips() {
        matrix["include"] = random.pick(&[
            json!([{"params": [{"name": "a", "value": "x"}, {"name": "a", "value": "y"}]}]),
            json!([{}]),
            json!([{"params": [{"name": "url", "value": ["x"]}]}]),
            json!("x"),
            json!([{"nobody": 1}]),
        ]);
    }
    matrix
}

fn task_spec(random: &mut Random) -> Value {
    let mut spec = Map::new();
    if random.chance(4) {
        spec.insert("apiVersion".to_owned(), json!("example.com/v1"));
        spec.insert("kind".to_owned(), json!("Wait"));
        spec.insert("spec".to_owned(), json!({"anything": [1, {"a": true}]}));
        let mut spec = Value::Object(spec);
        if random.slips() {
            spec["apiVersion"] = random.pick(&[json!("v1"), json!(""), json!(1), json!("/v1")]);
        }
        return spec;
    }
    let mut spec = Value::Object(spec);
    if random.chance(50) {
        spec["params"] = declarations(random, 30);
    }
    let count = 1 + random.below(2);
    spec["steps"] = Value::Array((0..count).map(|at| step(random, at)).collect());
    if random.slips() {
        spec["steps"] = random.pick(&[
            json!([]),
            json!(null),
            json!([{}]),
            json!("x"),
            json!([{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]),
        ]);
    }
    if random.chance(50) {
        spec["results"] = random.few(2, |random, _| task_result(random));
    }
    if random.chance(25) {
        spec["workspaces"] = random.pick(&[
            json!([{"name": "source"}]),
            json!([{"name": "source", "mountPath": "/x", "readOnly": true, "optional": true}]),
        ]);
    }
    if random.slips() {
        spec["workspaces"] = random.pick(&[
            json!([{"name": "a"}, {"name": "a"}]),
            json!([{"name": "a", "mountPath": "/x"}, {"name": "b", "mountPath": "/x/"}]),
            json!([{}]),
            json!([{"name": "a", "mountPath": "/cache"}]),
        ]);
    }
    if random.slips() {
        spec["stepTemplate"] = json!({"image": "x"});
    }
    if random.chance(5) {
        spec["sidecars"] = json!([{"name": "db", "image": "postgres"}]);
    }
    if random.slips() {
        spec["sidecars"] = random.pick(&[
            json!([{"name": "x"}]),
            json!([{"name": "tekton-log-results", "image": "x"}]),
            json!([{"image": "x", "script": "a", "command": ["b"]}]),
            json!([{"image": "x", "workspaces": [{"name": "nobody", "mountPath": "/x"}]}]),
        ]);
    }
    if random.slips() {
        spec["metadata"] = random.pick(&[json!({"labels": {"a": "b"}}), json!({"name": "x"}), json!([])]);
    }
    if random.slips() {
        spec[random.pick(&["inputs", "Steps", "script", "kind", "apiVersion", "spec"])] =
            random.pick(&[json!("Task"), json!({}), json!([])]);
    }
    spec
}

fn task_result(random: &mut Random) -> Value {
    let mut result = json!({"name": random.name(RESULTS)});
    if random.chance(30) {
        result["type"] = json!(random.pick(&["string", "array"]));
    }
    if random.chance(10) {
        result["type"] = json!("object");
        result["properties"] = json!({"name": {"type": "string"}});
    }
    if random.slips() {
        result["type"] = random.pick(&[json!("number"), json!("object"), json!(""), json!(1)]);
    }
    if random.slips() {
        result["properties"] = random.pick(&[json!({}), json!({"a": {}}), json!({"a": {"type": "array"}})]);
    }
    if random.slips() {
        result["value"] = random.pick(&[
            json!("$(steps.a.results.x)"),
            json!("x"),
            json!(["a"]),
            json!("$(steps.A.results.x)"),
            json!("$(steps.a.results._)"),
            json!(""),
            json!(null),
            json!("$(steps.a.results.x) more"),
        ]);
    }
    result
}

fn step(random: &mut Random, at: usize) -> Value {
    let mut step = json!({"image": random.pick(&["alpine", "example.com/x:1", "$(params.url)"])});
    if random.chance(60) {
        step["name"] = json!(["a", "b"][at]);
    }
    if random.chance(50) {
        step["script"] = json!(format!("echo {}", text(random)));
    } else {
        step["command"] = json!(["echo"]);
        step["args"] = json!([text(random), text(random)]);
    }
    if random.chance(30) {
        step["env"] = json!([{"name": "X", "value": text(random)}, {"name": "Y", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]);
    }
    if random.chance(10) {
        step["workingDir"] = json!("$(workspaces.source.path)");
    }
    if random.chance(10) {
        step["volumeMounts"] = json!([{"name": "x", "mountPath": "/cache"}]);
    }
    if random.chance(8) {
        step["computeResources"] = json!({"requests": {"memory": "1Gi", "cpu": 0.5}});
    }
    if random.chance(8) {
        step["timeout"] = json!("5m");
    }
    if random.chance(1) {
        step["securityContext"] = json!({"runAsUser": 1});
    }
    if random.slips() {
        let (field, value) = random.pick(&[
            ("image", json!("")),
            ("image", json!(null)),
            ("name", json!("Not A Name")),
            ("script", json!("x")),
            ("command", json!("echo")),
            ("args", json!([1])),
            ("env", json!([{"name": "X", "value": 1}])),
            ("env", json!({"X": "y"})),
            ("timeout", json!("-5m")),
            ("timeout", json!("x")),
            ("onError", json!("continue")),
            ("onError", json!("ignore")),
            ("onError", json!("$(params.on)")),
            ("onError", json!("$(params.nobody)")),
            ("ref", json!({"name": "x"})),
            ("ref", json!({})),
            ("params", json!([{"name": "a", "value": "b"}])),
            ("volumeMounts", json!([{"name": "x", "mountPath": "/tekton/x"}])),
            ("volumeMounts", json!([{"name": "x", "mountPath": "/tekton/home/x"}])),
            ("volumeMounts", json!([{"name": "tekton-internal-x", "mountPath": "/x"}])),
            ("workspaces", json!([{"name": "source", "mountPath": "/w"}])),
            ("workspaces", json!([{"name": "nobody", "mountPath": "/w"}])),
            ("results", json!([{"name": "x"}])),
            ("results", json!([{"name": "_"}])),
            ("results", json!([{"name": "o", "type": "object"}])),
            ("results", json!([{"name": "o", "type": "object", "properties": {"a": {}}}])),
            ("stdoutConfig", json!({"path": "/x"})),
            ("when", json!([{"input": "a", "operator": "in", "values": ["a"]}])),
            ("when", json!([{}])),
            ("script", json!("$(steps.a.results.x)")),
            ("script", json!("$(results.nobody.path)")),
            ("script", json!("$(results.digest.path) $(context.taskRun.nobody)")),
            ("script", json!("$(step.results.x.path)")),
            ("script", json!("#!win\nx")),
            ("script", json!("$(context.taskRun.name) $(context.task.retry-count)")),
            ("script", json!("$(params.list[*])")),
            ("script", json!("$(params.image)")),
            ("args", json!(["$(params.list[*])"])),
            ("args", json!(["x$(params.list[*])"])),
            ("image", json!("$(steps.a.results.x)")),
            ("nobody", json!(1)),
            ("resources", json!({})),
            ("imagePullPolicy", json!("Always")),
            ("args", json!(["$(step.artifacts.path)"])),
            ("computeResources", json!({"requests": {"memory": "lots"}})),
            ("tty", json!(true)),
            ("args", json!(["$(params.image.name)", "$(params.image.nobody)"])),
            ("displayName", json!("x")),
            ("envFrom", json!([{"secretRef": {"name": "x"}}])),
            ("env", json!([{"name": "X", "valueFrom": {"secret": "x"}}])),
        ]);
        step[field] = value;
    }
    step
}

impl Random {
    fn shuffle(&mut self, items: &mut [Value]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at + 1));
        }
    }
}
