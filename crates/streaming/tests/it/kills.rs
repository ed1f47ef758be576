//! A kill at every change of catalogue and store, one after the other, that a life of a collection makes:
//! each as one that happened and one that did not. Whatever is killed, a start finds what was
//! acknowledged, and nothing that nobody names.

use std::collections::BTreeMap;

use milvus_meta::Kv;
use milvus_roles::{DataCoord, RootCoord};
use milvus_types::{CollectionId, Result};

use crate::world::{Home, World, by_hand, request};

/// What may be found after the kill.
#[derive(Default)]
struct Model {
    rows: BTreeMap<i64, i64>,
    /// A write that nobody was told of: with it, this is what there is.
    in_doubt: Option<BTreeMap<i64, i64>>,
    is_dropped: bool,
}

impl Model {
    async fn upsert(&mut self, world: &World, rows: &[(i64, i64)]) -> Result<()> {
        let mut with = self.rows.clone();
        with.extend(rows.iter().copied());
        self.write(with, world.try_upsert(rows).await.map(drop))
    }

    async fn delete(&mut self, world: &World, keys: &[i64]) -> Result<()> {
        let mut with = self.rows.clone();
        with.retain(|key, _| !keys.contains(key));
        self.write(with, world.try_delete(keys).await.map(drop))
    }

    fn write(&mut self, with: BTreeMap<i64, i64>, outcome: Result<()>) -> Result<()> {
        match &outcome {
            Ok(()) => self.rows = with,
            Err(_) => self.in_doubt = Some(with),
        }
        outcome
    }
}

/// A life of collection `c`, and of another that is created and dropped meanwhile.
async fn life(world: &World, model: &mut Model) -> Result<()> {
    model.upsert(world, &(0..40).map(|key| (key, key)).collect::<Vec<_>>()).await?;
    world.try_flush().await?;
    world.coord.create_collection(request("d")).await?;
    model.delete(world, &[0, 1, 2]).await?;
    model.upsert(world, &[(3, 33), (40, 40)]).await?;
    world.try_flush().await?;
    world.create_index("n", "INVERTED").await?;
    world.indexed(2).await;
    let (inputs, compacted) = world.try_rewrite().await?;
    model.delete(world, &[4]).await?;
    world.try_replace(inputs, compacted).await?;
    world.coord.drop_collection("default", "d").await?;
    model.upsert(world, &[(5, 55)]).await?;
    world.try_flush().await?;
    model.is_dropped = true;
    world.coord.drop_collection("default", "c").await
}

/// Nothing is there that the manifest of `c` does not name, and everything that it does.
async fn is_tidy(home: &Home, world: &World, context: &str) {
    let manifest = world.coord.manifest(world.id).await;
    let named = manifest.map(|manifest| manifest.files().cloned().collect::<Vec<_>>());
    let mut named: Vec<String> = named.unwrap_or_default().into_iter().map(|f| f.path).collect();
    named.sort();
    assert_eq!(home.files().await, named, "{context}");
    let known = world.coord.list_collections("default").await.unwrap();
    for (key, _) in home.kv.range("milvus/v1/manifest/").await.unwrap() {
        let is_known = known.iter().any(|collection| key.ends_with(&format!("/{}", collection.id)));
        assert!(is_known, "{context}: {key} is of no collection");
    }
}

async fn after_the_kill(home: Home, model: &Model, id: CollectionId, context: &str) {
    // Nothing is built here, so that what the start left is seen.
    let home = Home { min_rows_to_index: u64::MAX, ..home };
    let world = home.start(by_hand()).await;
    let is_there = world.id == id;
    assert!(is_there || model.is_dropped, "{context}: the collection is gone");
    is_tidy(&home, &world, context).await;
    if !is_there {
        return;
    }
    let found = world.all().await;
    let in_doubt = model.in_doubt.as_ref();
    assert!(found == model.rows || in_doubt == Some(&found), "{context}: {found:?}");
    assert_eq!(world.count().await, found.len() as u64, "{context}");
    world.delete(&[7]).await;
    world.upsert(&[(90, 90)]).await;
    world.flush().await;
    world.crash().await;
    let world = home.start(by_hand()).await;
    let mut want = found;
    want.remove(&7);
    want.insert(90, 90);
    assert_eq!(world.all().await, want, "{context}, after another life");
    is_tidy(&home, &world, context).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_change_of_catalogue_or_store_loses_nothing_and_leaves_nothing() {
    for happens in [false, true] {
        let mut change = 0;
        loop {
            let home = Home { min_rows_to_index: 1, ..Home::new() };
            let world = home.start(by_hand()).await;
            let id = world.id;
            world.fuse.arm(change, happens);
            let mut model = Model::default();
            let outcome = life(&world, &mut model).await;
            let is_over = !world.fuse.is_burnt();
            let context = format!("change {change}, happens: {happens}, {outcome:?}");
            world.crash().await;
            after_the_kill(home, &model, id, &context).await;
            if is_over {
                outcome.unwrap();
                assert!(change > 30, "a life has more changes than {change}");
                break;
            }
            change += 1;
        }
    }
}
