//! End to end with the real Tekton: a signed webhook comes in, its controllers play the run, events leave.

mod scenarios;
mod story;
mod world;

use futures::future::join_all;

use self::scenarios::{PIPELINES, SCENARIOS, Scenario};
use self::story::{lines, masked};
use self::world::World;

/// Plays all scenarios at once, and asserts what was told.
async fn play_all(world: &World) {
    join_all(SCENARIOS.iter().enumerate().map(|(number, scenario)| scenario.play(world, number + 1))).await;
    world.until_noted().await;
    world.overtaken().await;
    let told: Vec<_> = SCENARIOS.iter().map(|it| (it.name, lines(&world.told(it.name)))).collect();
    let wanted: Vec<_> = SCENARIOS.iter().map(|it| (it.name, it.story())).collect();
    assert_eq!(told, wanted);
    world.assert_all_valid().await;
}

fn assert_snapshots(world: &World) {
    for Scenario { name, .. } in SCENARIOS {
        let text = world.recorder.events(|events| masked(events, name, &world.real.namespace));
        insta::assert_snapshot!(*name, text);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_of_a_run_is_told_once_and_in_order() {
    let mappings: Vec<_> = SCENARIOS.iter().map(Scenario::mapping).collect();
    let Some(world) = World::start("tekton", PIPELINES, &mappings).await else { return };
    play_all(&world).await;
    assert_snapshots(&world);
}
