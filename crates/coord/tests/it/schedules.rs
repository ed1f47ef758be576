//! Whatever clients do at once, and wherever a restart falls between, the catalogue holds together.

use std::collections::HashSet;
use std::sync::Arc;

use futures::future::join_all;
use milvus_base::task;
use milvus_coord::{CoordOptions, CoordParts, MixCoord};
use milvus_meta::{Catalogue, MemoryKv};
use milvus_roles::{CollectionChange, CreateCollection, CreateIndex, DataCoord, RootCoord};
use milvus_storage::MemoryStore;
use milvus_types::{
    CollectionId, CollectionSchema, ConsistencyLevel, DataType, FieldId, FieldSchema, IndexId,
    IndexMeta, KeyValue, Timestamp,
};

use crate::roles::Nothing;

const DATABASES: [&str; 3] = ["default", "d1", "d2"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const FIELDS: [&str; 3] = ["x", "y", "z"];

/// A linear congruential generator: the same schedule for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }
}

async fn start(kv: &Arc<MemoryKv>, store: &Arc<MemoryStore>) -> Arc<MixCoord> {
    let parts = CoordParts {
        options: CoordOptions::default(),
        catalogue: Catalogue::open(kv.clone()).await.unwrap(),
        store: store.clone(),
        builder: Arc::new(Nothing),
    };
    let coord = MixCoord::open(parts).await.unwrap();
    coord.recover(Arc::new(Nothing)).await.unwrap();
    coord
}

fn request(db_name: &str, name: &str) -> CreateCollection {
    let field = |name: &str, data_type| FieldSchema {
        name: name.to_owned(),
        data_type,
        ..FieldSchema::default()
    };
    let key = FieldSchema { is_primary_key: true, ..field("id", DataType::Int64) };
    let dim = vec![KeyValue::new("dim", "4")];
    let vector = FieldSchema { type_params: dim, ..field("v", DataType::FloatVector) };
    CreateCollection {
        db_name: db_name.to_owned(),
        schema: CollectionSchema {
            name: name.to_owned(),
            fields: vec![key, vector],
            ..CollectionSchema::default()
        },
        shards_num: 2,
        consistency_level: ConsistencyLevel::Bounded,
        properties: Vec::new(),
        num_partitions: None,
    }
}

/// One client: what it asks may be refused, as somebody else was first.
async fn client(coord: Arc<MixCoord>, seed: u64, steps: usize) {
    let mut dice = Dice(seed);
    for _ in 0..steps {
        let (db, other) = (dice.pick(&DATABASES), dice.pick(&DATABASES));
        let (name, new) = (dice.pick(&NAMES), dice.pick(&NAMES));
        let field = dice.pick(&FIELDS);
        let kind = dice.roll(12);
        let _ = match kind {
            0 => coord.create_database(db, Vec::new()).await,
            1 => coord.drop_database(db).await,
            2 | 3 => coord.create_collection(request(db, name)).await.map(drop),
            4 => coord.drop_collection(db, name).await,
            5 => coord.rename_collection(db, name, other, new).await,
            6 => coord.create_alias(db, new, name).await,
            7 => coord.alter_alias(db, new, name).await,
            8 => coord.drop_alias(db, name).await,
            9 => {
                let added = FieldSchema {
                    name: field.to_owned(),
                    data_type: DataType::Int64,
                    nullable: true,
                    ..FieldSchema::default()
                };
                coord.alter_collection(db, name, CollectionChange::AddField(added)).await
            }
            10 => {
                let dropped = CollectionChange::DropField(field.to_owned());
                coord.alter_collection(db, name, dropped).await
            }
            _ => index(&coord, db, name, field).await,
        };
    }
}

/// Indexes a field that was there when the client looked.
async fn index(coord: &MixCoord, db: &str, name: &str, field: &str) -> milvus_types::Result<()> {
    let collection = coord.describe_collection(db, name).await?;
    let Some(found) = collection.schema.field(field) else { return Ok(()) };
    tokio::task::yield_now().await;
    let create = CreateIndex {
        collection_id: collection.id,
        field_id: found.id,
        field_name: field.to_owned(),
        index_name: field.to_owned(),
        user_params: Vec::new(),
        index_params: vec![KeyValue::new("index_type", "INVERTED")],
    };
    coord.create_index(create).await
}

/// Everything there is, after its invariants are checked.
async fn checked(coord: &MixCoord, seed: u64) -> String {
    let mut all = Vec::new();
    let databases = coord.list_databases().await.unwrap();
    let mut ids = HashSet::new();
    for database in &databases {
        let db = &database.name;
        let collections = coord.list_collections(db).await.unwrap();
        let names: HashSet<_> = collections.iter().map(|c| c.name.clone()).collect();
        assert_eq!(names.len(), collections.len(), "seed {seed}: a name twice in {db}");
        for alias in coord.list_aliases(db, None).await.unwrap() {
            assert!(names.contains(&alias.collection), "seed {seed}: alias to nothing");
            assert!(!names.contains(&alias.name), "seed {seed}: an alias and a collection");
            all.push(format!("alias {db}.{} -> {}", alias.name, alias.collection));
        }
        for collection in &collections {
            assert_eq!((&collection.db_name, collection.db_id), (db, database.id));
            assert!(ids.insert(collection.id.0), "seed {seed}: an id twice");
            for partition in &collection.partitions {
                assert!(ids.insert(partition.id.0), "seed {seed}: an id twice");
            }
            for index in coord.list_indexes(collection.id).await.unwrap() {
                assert!(ids.insert(index.id.0), "seed {seed}: an id twice");
                let field = collection.schema.field_by_id(index.field_id);
                assert!(
                    field.is_some_and(|field| field.name == index.field_name),
                    "seed {seed}: index {} of a field that is gone",
                    index.name
                );
                all.push(format!("index {} {} {}", collection.id, index.id, index.name));
            }
            all.push(format!("{collection:?}"));
        }
        all.push(format!("{database:?}"));
    }
    all.sort_unstable();
    all.join("\n")
}

async fn newest(coord: &MixCoord) -> CollectionId {
    let name = "newest";
    coord.create_collection(request("default", name)).await.unwrap();
    let id = coord.describe_collection("default", name).await.unwrap().id;
    coord.drop_collection("default", name).await.unwrap();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_schedules_keep_the_catalogue_whole_also_over_restarts() {
    for seed in 1..=12 {
        let (kv, store) = (Arc::new(MemoryKv::default()), Arc::new(MemoryStore::new()));
        let mut last = CollectionId(0);
        for round in 0..4 {
            let coord = start(&kv, &store).await;
            let clients = (0..6_u64).map(|number| {
                task::spawn("client", client(coord.clone(), seed * 1000 + round * 10 + number, 40))
            });
            for ended in join_all(clients).await {
                ended.unwrap();
            }
            let before = checked(&coord, seed).await;
            let id = newest(&coord).await;
            assert!(id > last, "seed {seed}: {id} was given before {last}");
            last = id;
            drop(coord);
            let after = checked(&start(&kv, &store).await.clone(), seed).await;
            assert_eq!(before, after, "seed {seed}: a restart changed the catalogue");
        }
    }
}

#[tokio::test]
async fn an_index_whose_field_went_in_a_crash_goes_at_the_next_start() {
    let (kv, store) = (Arc::new(MemoryKv::default()), Arc::new(MemoryStore::new()));
    let coord = start(&kv, &store).await;
    let collection = coord.create_collection(request("default", "a")).await.unwrap();
    drop(coord);
    let catalogue = Catalogue::open(kv.clone()).await.unwrap();
    for (id, collection_id, field_id) in [
        (901, collection.id, FieldId(101)),
        (902, collection.id, FieldId(777)),
        (903, CollectionId(999), FieldId(101)),
    ] {
        let index = IndexMeta {
            id: IndexId(id),
            collection_id,
            field_id,
            field_name: "v".into(),
            name: format!("i{id}"),
            user_params: Vec::new(),
            index_params: Vec::new(),
            create_ts: Timestamp(1),
        };
        catalogue.create(&index).await.unwrap();
    }
    start(&kv, &store).await;
    let left: Vec<_> = catalogue.list_indexes().await.unwrap();
    let left: Vec<_> = left.iter().map(|index| index.entry.id).collect();
    assert_eq!(left, [IndexId(901)]);
}
