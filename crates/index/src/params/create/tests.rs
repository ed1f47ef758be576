//! Parameters of indexes and searches: what is taken, and what is said of the rest.

use milvus_types::{DataType, KeyValue, MetricType};

use super::*;
use crate::params::{Depth, check_range_params, check_search_params};
use crate::range::Range;

/// Checks an index over `field` with `pairs`; the text of a refusal.
fn checked(data_type: DataType, dim: usize, pairs: &[(&str, &str)]) -> Result<Build, String> {
    let params: Vec<KeyValue> = pairs.iter().map(|(k, v)| KeyValue::new(*k, *v)).collect();
    check_index(&VectorField::new(data_type, dim), &params).map_err(|error| error.to_string())
}

#[test]
fn every_kind_has_its_metrics_and_indexes() {
    let kinds = [
        (DataType::FloatVector, "COSINE", "FLAT", "BIN_FLAT"),
        (DataType::Float16Vector, "L2", "IVF_SQ8", "SPARSE_WAND"),
        (DataType::BFloat16Vector, "IP", "DISKANN", "BIN_IVF_FLAT"),
        (DataType::Int8Vector, "L2", "HNSW_SQ", "FLAT"),
        (DataType::BinaryVector, "JACCARD", "BIN_IVF_FLAT", "IVF_FLAT"),
        (DataType::SparseFloatVector, "IP", "SPARSE_WAND", "HNSW"),
    ];
    for (data_type, metric, index, other) in kinds {
        let dim = if data_type == DataType::SparseFloatVector { 0 } else { 8 };
        for name in [index, "AUTOINDEX"] {
            let pairs = [("metric_type", metric), ("index_type", name)];
            let build = checked(data_type, dim, &pairs).unwrap();
            assert_eq!((build.data_type, build.index_type.name()), (data_type, name));
        }
        let pairs = [("metric_type", metric), ("index_type", other)];
        assert_eq!(
            checked(data_type, dim, &pairs).unwrap_err(),
            format!("data type {data_type} can't build with this index {other}: invalid parameter")
        );
    }
    let mismatch = ": invalid parameter[expected=valid index params][actual=invalid index params]";
    for (data_type, metric, text) in [
        (
            DataType::FloatVector,
            "HAMMING",
            "float vector index does not support metric type: HAMMING",
        ),
        (DataType::FloatVector, "l2", "float vector index does not support metric type: l2"),
        (DataType::Int8Vector, "JACCARD", "int vector index does not support metric type: JACCARD"),
        (DataType::BinaryVector, "L2", "binary vector index does not support metric type: L2"),
        (
            DataType::SparseFloatVector,
            "L2",
            "only IP&BM25 is the supported metric type for sparse index",
        ),
        (
            DataType::SparseFloatVector,
            "BM25",
            "only BM25 Function output field support BM25 metric type",
        ),
        (
            DataType::FloatVector,
            "MAX_SIM",
            "float vector index does not support metric type: MAX_SIM",
        ),
    ] {
        let refused = checked(data_type, 8, &[("metric_type", metric)]).unwrap_err();
        assert_eq!(refused, format!("{text}{mismatch}"));
    }
    assert_eq!(
        checked(DataType::FloatVector, 8, &[("index_type", "HNSW")]).unwrap_err(),
        format!("metric type not set for vector index{mismatch}")
    );
    let later = [("metric_type", "L2"), ("index_type", "SVS_FLAT")];
    assert_eq!(
        checked(DataType::FloatVector, 8, &later).unwrap_err(),
        "index type SVS_FLAT is not supported yet: invalid parameter"
    );
    let dim = [("metric_type", "L2"), ("index_type", "HNSW"), ("dim", "9")];
    assert_eq!(
        checked(DataType::FloatVector, 8, &dim).unwrap_err(),
        "dimension mismatch, dimension in schema: 8, dimension: 9: invalid parameter"
    );
}

#[test]
fn lists_have_metrics_of_lists_and_of_their_elements() {
    let list = |element, metric: &str, index: &str| {
        let field =
            VectorField { data_type: DataType::ArrayOfVector, element_type: Some(element), dim: 8 };
        let params = [KeyValue::new("metric_type", metric), KeyValue::new("index_type", index)];
        check_index(&field, &params).map_err(|error| error.to_string())
    };
    let build = list(DataType::FloatVector, "MAX_SIM_COSINE", "HNSW").unwrap();
    assert!(build.is_of_lists() && build.data_type == DataType::FloatVector);
    assert!(!list(DataType::FloatVector, "COSINE", "FLAT").unwrap().is_of_lists());
    assert!(list(DataType::BinaryVector, "MAX_SIM_HAMMING", "AUTOINDEX").is_ok());
    assert_eq!(
        list(DataType::FloatVector, "MAX_SIM", "IVF_SQ8").unwrap_err(),
        "data type ArrayOfVector can't build with this index IVF_SQ8: invalid parameter"
    );
    let refused = list(DataType::BinaryVector, "MAX_SIM", "HNSW").unwrap_err();
    assert!(refused.starts_with(
        "array of vector with binary element type does not support metric type: MAX_SIM, \
         supported: [HAMMING JACCARD SUBSTRUCTURE"
    ));
}

#[test]
fn each_index_reads_its_own_parameters() {
    let refused = |data_type, index: &str, metric: &str, pair: (&str, &str)| {
        checked(data_type, 128, &[("metric_type", metric), ("index_type", index), pair])
            .unwrap_err()
            .strip_suffix(": invalid parameter")
            .map(str::to_owned)
            .unwrap_or_default()
    };
    let float = DataType::FloatVector;
    for (index, pair, text) in [
        (
            "IVF_FLAT",
            ("nlist", "0"),
            "Out of range in json: param 'nlist' (0) should be in range [1, 65536]",
        ),
        (
            "SCANN",
            ("nlist", "65537"),
            "Out of range in json: param 'nlist' (65537) should be in range [1, 65536]",
        ),
        (
            "SCANN",
            ("sub_dim", "3"),
            "The dimension of a vector (dim) should be a multiple of sub_dim. Dimension:128, sub_dim:3",
        ),
        (
            "ANNOY",
            ("n_trees", "1025"),
            "Out of range in json: param 'n_trees' (1025) should be in range [1, 1024]",
        ),
        ("IVF_PQ", ("nbits", "8"), "param 'm' not exist in json"),
        (
            "IVF_PQ",
            ("m", "7"),
            "The dimension of the vector (dim) should be a multiple of the number of subquantizers (m). Dimension: 128, m: 7",
        ),
        (
            "HNSW_PRQ",
            ("m", "256"),
            "The dimension of a vector (dim) should be a multiple of the number of subquantizers (m). Dimension: 128, m: 256",
        ),
        (
            "HNSW_PRQ",
            ("nrq", "17"),
            "Out of range in json: param 'nrq' (17) should be in range [1, 16]",
        ),
        ("HNSW_SQ", ("sq_type", "FP32"), "invalid scalar quantizer type"),
        (
            "HNSW_SQ",
            ("refine", "1"),
            "Type conflict in json: param 'refine' (\"1\") should be a boolean",
        ),
        (
            "HNSW_SQ",
            ("refine_type", "['FP16']"),
            "invalid refine type : ['FP16'], optional types are [sq4u, sq6, sq8, fp16, bf16, fp32, flat]",
        ),
        (
            "IVF_RABITQ",
            ("refine_type", "PQ"),
            "invalid refine type : PQ, optional types are [sq6, sq8, fp16, bf16, fp32, flat]",
        ),
    ] {
        assert_eq!(refused(float, index, "L2", pair), text, "{index}");
    }
    let bits = refused(DataType::BinaryVector, "BIN_IVF_FLAT", "SUBSTRUCTURE", ("nlist", "9"));
    assert_eq!(
        bits,
        "metric type SUBSTRUCTURE not found or not supported, supported: [HAMMING JACCARD]"
    );
    for (pair, text) in [
        (
            ("inverted_index_algo", "X"),
            "sparse inverted index algo X not found or not supported, supported: [TAAT_NAIVE DAAT_WAND DAAT_MAXSCORE BLOCK_MAX_MAXSCORE BLOCK_MAX_WAND SINDI]",
        ),
        (
            ("inverted_index_codec", "X"),
            "inverted_index_codec X not found or not supported, supported: [block_streamvbyte block_maskedvbyte]",
        ),
        (
            ("drop_ratio_build", "1"),
            "Out of range in json: param 'drop_ratio_build' (1.0) should be in range [0.000000, 1.000000)",
        ),
        (
            ("block_max_block_size", "0"),
            "Out of range in json: param 'block_max_block_size' (0) should be in range [1, 2147483647]",
        ),
        (
            ("quant_type", "u16"),
            "quant_type u16 not found or not supported, supported: [fp16 fp32]",
        ),
    ] {
        let got = refused(DataType::SparseFloatVector, "SPARSE_INVERTED_INDEX", "IP", pair);
        assert_eq!(got, text);
    }
    let pq = [("metric_type", "L2"), ("index_type", "IVF_PQ"), ("m", "16"), ("nlist", "64")];
    let codes = IvfCodes::Product(ProductParams { m: 16, nbits: 8, stages: 1 });
    assert_eq!(
        checked(float, 128, &pq).unwrap().kind,
        BuildKind::Ivf(IvfParams { nlist: 64, codes })
    );
    for (algo, want) in [
        ("TAAT_NAIVE", SparseAlgo::Windows),
        ("DAAT_WAND", SparseAlgo::Windows),
        ("BLOCK_MAX_WAND", SparseAlgo::Blocks),
        ("", SparseAlgo::Windows),
    ] {
        let pairs = [
            ("metric_type", "IP"),
            ("index_type", "SPARSE_WAND"),
            ("inverted_index_algo", algo),
            ("block_max_block_size", "64"),
        ];
        let kind = BuildKind::Sparse(SparseParams { algo: want, block: 64 });
        assert_eq!(checked(DataType::SparseFloatVector, 0, &pairs).unwrap().kind, kind);
    }
    let annoy = [("metric_type", "L2"), ("index_type", "ANNOY")];
    let kind = BuildKind::Annoy(AnnoyParams { trees: 8 });
    assert_eq!(checked(float, 128, &annoy).unwrap().kind, kind);
    let disk = [("metric_type", "L2"), ("index_type", "DISKANN"), ("max_degree", "-1")];
    let few =
        [("metric_type", "IP"), ("index_type", "DISKANN"), ("pq_code_budget_gb_ratio", "0.25")];
    let want = DiskParams { code_share: 250_000, ..DiskParams::default() };
    assert_eq!(checked(float, 128, &few).unwrap().kind, BuildKind::Disk(want));
    assert_eq!(checked(float, 128, &disk).unwrap().kind, BuildKind::Disk(DiskParams::default()));
}

#[test]
fn hashes_fill_vectors_and_bands_are_of_hashes() {
    let lsh = |metric: &str, index: &str, pair: (&str, &str)| {
        let pairs = [("metric_type", metric), ("index_type", index), pair];
        checked(DataType::BinaryVector, 512, &pairs)
    };
    let build = lsh("MHJACCARD", "MINHASH_LSH", ("mh_lsh_band", "12")).unwrap();
    assert_eq!((build.kind, build.hash_bits), (BuildKind::MinHash(MinHashParams { bands: 12 }), 8));
    let auto = lsh("MHJACCARD", "AUTOINDEX", ("mmap.enabled", "true")).unwrap();
    assert_eq!(auto.kind, BuildKind::MinHash(MinHashParams { bands: 1 }));
    let flat = lsh("MHJACCARD", "BIN_FLAT", ("mh_element_bit_width", "64")).unwrap();
    assert_eq!((flat.kind, flat.hash_bits), (BuildKind::Flat, 64));
    for (metric, index, pair, text) in [
        (
            "HAMMING",
            "MINHASH_LSH",
            ("mh_lsh_band", "8"),
            "metric type HAMMING not found or not supported, supported: [MHJACCARD]",
        ),
        (
            "MHJACCARD",
            "MINHASH_LSH",
            ("mh_lsh_band", "0"),
            "Out of range in json: param 'mh_lsh_band' (0) should be in range [1, 2147483647]",
        ),
        (
            "MHJACCARD",
            "MINHASH_LSH",
            ("mh_element_bit_width", "257"),
            "Out of range in json: param 'mh_element_bit_width' (257) should be in range [8, 256]",
        ),
        (
            "MHJACCARD",
            "BIN_FLAT",
            ("mh_element_bit_width", "24"),
            "the dimension of a vector (dim) should be a multiple of mh_element_bit_width, and that of 8. Dimension: 512, mh_element_bit_width: 24",
        ),
        (
            "MHJACCARD",
            "MINHASH_LSH",
            ("with_raw_data", "1"),
            "Type conflict in json: param 'with_raw_data' (\"1\") should be a boolean",
        ),
    ] {
        assert_eq!(lsh(metric, index, pair).unwrap_err(), format!("{text}: invalid parameter"));
    }
}

#[test]
fn searches_of_each_index_read_their_own_parameters() {
    let search = |index_type, key: &str, value: &str| {
        check_search_params(index_type, Depth::AtOnce(10), &[KeyValue::new(key, value)])
            .map_err(|error| error.to_string())
    };
    assert_eq!(search(IndexType::IvfSq8, "nprobe", "\"32\"").unwrap().nprobe, 32);
    assert_eq!(search(IndexType::HnswSq, "refine_k", "2.5").unwrap().refine_k, 2.5);
    assert_eq!(search(IndexType::Scann, "reorder_k", "100").unwrap().refine_k, 10.0);
    assert_eq!(search(IndexType::DiskAnn, "search_list", "30").unwrap().ef, 30);
    assert_eq!(search(IndexType::DiskAnn, "beamwidth", "4").unwrap().beam_width, 4);
    assert_eq!(search(IndexType::HnswPq, "ef", "1").unwrap().ef, 16);
    for (given, rows) in [("-1", 0), ("0", 0), ("\"50\"", 50)] {
        assert_eq!(search(IndexType::Annoy, "search_k", given).unwrap().search_k, rows);
    }
    assert_eq!(search(IndexType::MinHashLsh, "refine_k", "100").unwrap().refine_k, 10.0);
    let ranked = |json| search(IndexType::MinHashLsh, "mh_search_with_jaccard", json);
    assert!(ranked("true").unwrap().with_jaccard && ranked("\"True\"").unwrap().with_jaccard);
    assert!(!ranked("false").unwrap().with_jaccard);
    assert_eq!(
        search(IndexType::SparseWand, "drop_ratio_search", "\"0.2\"").unwrap().drop_ratio,
        0.2
    );
    for (index_type, key, value, text) in [
        (
            IndexType::IvfFlat,
            "nprobe",
            "65537",
            "Out of range in json: param 'nprobe' (65537) should be in range [1, 65536]",
        ),
        (
            IndexType::IvfFlat,
            "nprobe",
            "null",
            "Type conflict in json: param 'nprobe' (null) should be integer",
        ),
        (IndexType::Scann, "reorder_k", "9", "reorder_k(9) should be larger than k(10)"),
        (
            IndexType::DiskAnn,
            "search_list_size",
            "1",
            "search_list_size(1) should be larger than k(10)",
        ),
        (
            IndexType::HnswSq,
            "refine_k",
            "true",
            "Type conflict in json: param 'refine_k' (true) should be a number",
        ),
        (IndexType::HnswSq, "refine_k", "\"\"", "invalid float value, key: 'refine_k', value: ''"),
        (
            IndexType::IvfRabitq,
            "refine_k",
            "0.5",
            "Out of range in json: param 'refine_k' (0.5) should be in range [1.000000, 340282346638528859811704183484516925440.000000]",
        ),
        (
            IndexType::IvfRabitq,
            "rbq_bits_query",
            "9",
            "Out of range in json: param 'rbq_bits_query' (9) should be in range [0, 8]",
        ),
        (IndexType::Annoy, "search_k", "9", "search_k(9) should be larger than k(10)"),
        (
            IndexType::Annoy,
            "search_k",
            "-2",
            "Out of range in json: param 'search_k' (-2) should be in range [-1, 2147483647]",
        ),
        (
            IndexType::MinHashLsh,
            "mh_search_with_jaccard",
            "1",
            "Type conflict in json: param 'mh_search_with_jaccard' (1) should be a boolean",
        ),
        (
            IndexType::SparseWand,
            "drop_ratio_search",
            "1",
            "Out of range in json: param 'drop_ratio_search' (1) should be in range [0.000000, 1.000000)",
        ),
        (
            IndexType::SparseWand,
            "dim_max_score_ratio",
            "1.4",
            "Out of range in json: param 'dim_max_score_ratio' (1.4) should be in range [0.500000, 1.300000]",
        ),
    ] {
        assert_eq!(search(index_type, key, value).unwrap_err(), text);
    }
}

fn create(key: &str, value: &str) -> Result<Build, String> {
    let params = [KeyValue::new(key, value)];
    check_build_params(IndexType::Hnsw, MetricType::L2, 8, &params)
        .map_err(|error| error.to_string())
}

#[test]
fn creation_takes_what_milvus_takes_and_says_what_milvus_says() {
    let graph = |m, ef_construction| {
        let codes = GraphCodes::Best;
        BuildKind::Graph(GraphParams { m, ef_construction, codes })
    };
    assert_eq!(create("M", "16").unwrap().kind, graph(16, 360));
    assert_eq!(create("efConstruction", "10000").unwrap().kind, graph(30, 10000));
    assert_eq!(create("not_defined_param", "x").unwrap().kind, graph(30, 360));
    for (key, value, text) in [
        ("M", "-1", "Out of range in json: param 'M' (-1) should be in range [2, 2048]"),
        ("M", "2049", "Out of range in json: param 'M' (2049) should be in range [2, 2048]"),
        (
            "efConstruction",
            "0",
            "Out of range in json: param 'efConstruction' (0) should be in range [1, 2147483647]",
        ),
        ("M", "16.0", "wrong data type in json, key: 'M', value: '16.0'"),
        ("M", "True", "invalid integer value, key: 'M', value: 'True'"),
        ("M", "[16]", "invalid integer value, key: 'M', value: '[16]'"),
        ("M", "99999999999", "integer value out of range, key: 'M', value: '99999999999'"),
        ("refine", "true", "refine is not supported for this index"),
    ] {
        assert_eq!(create(key, value).unwrap_err(), format!("{text}: invalid parameter"));
    }
    let error = check_build_params(IndexType::Flat, MetricType::Hamming, 8, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "float vector index does not support metric type: HAMMING: invalid parameter\
         [expected=valid index params][actual=invalid index params]"
    );
    let auto = check_build_params(IndexType::AutoIndex, MetricType::Ip, 8, &[]).unwrap();
    assert_eq!(auto.kind, graph(24, 120));
}

#[test]
fn ef_is_checked_as_milvus_does() {
    let search = |value: &str| {
        check_search_params(IndexType::Hnsw, Depth::AtOnce(10), &[KeyValue::new("ef", value)])
            .map(|params| params.ef)
            .map_err(|error| error.to_string())
    };
    assert_eq!(search("64"), Ok(64));
    assert_eq!(search("\"32\""), Ok(32));
    for (value, text) in [
        ("1", "ef(1) should be larger than k(10)"),
        ("-1", "Out of range in json: param 'ef' (-1) should be in range [1, 2147483647]"),
        ("32.0", "Type conflict in json: param 'ef' (32.0) should be integer"),
        ("true", "Type conflict in json: param 'ef' (true) should be integer"),
        ("None", "Type conflict in json: param 'ef' (null) should be integer"),
        ("[32]", "Type conflict in json: param 'ef' ([32]) should be integer"),
    ] {
        assert_eq!(search(value), Err(text.to_owned()));
    }
    let none = check_search_params(IndexType::AutoIndex, Depth::AtOnce(100), &[]).unwrap();
    assert_eq!(none.ef, 150);
    assert_eq!(check_search_params(IndexType::Hnsw, Depth::AtOnce(100), &[]).unwrap().ef, 100);
    assert_eq!(check_search_params(IndexType::Hnsw, Depth::AtOnce(3), &[]).unwrap().ef, 16);
    let flat = [KeyValue::new("ef", "junk")];
    assert!(check_search_params(IndexType::Flat, Depth::AtOnce(3), &flat).is_ok());
}

#[test]
fn ranges_must_not_be_empty() {
    let range = |metric, radius: &str, filter: &str| {
        let params = [KeyValue::new("radius", radius), KeyValue::new("range_filter", filter)];
        check_range_params(metric, &params).map_err(|error| error.to_string())
    };
    let want = Range { radius: 2.5, range_filter: Some(1.0) };
    assert_eq!(range(MetricType::L2, "2.5", "\"1\""), Ok(Some(want)));
    assert_eq!(
        range(MetricType::L2, "1", "2"),
        Err("metric type (L2), range_filter(2) must be less than radius(1)".to_owned())
    );
    assert_eq!(
        range(MetricType::Cosine, "0.9", "0.5"),
        Err("metric type (COSINE), range_filter(0.5) must be greater than radius(0.9)".to_owned())
    );
    assert!(range(MetricType::L2, "x", "1").is_err());
    assert_eq!(check_range_params(MetricType::L2, &[]), Ok(None));
    let alone = [KeyValue::new("range_filter", "1")];
    assert!(check_range_params(MetricType::L2, &alone).is_err());
}

#[test]
fn a_search_in_steps_may_start_with_fewer_candidates() {
    let search = |index_type, key: &str, depth| {
        check_search_params(index_type, depth, &[KeyValue::new(key, "30")]).map(|params| params.ef)
    };
    for (index_type, key) in [(IndexType::DiskAnn, "search_list"), (IndexType::Hnsw, "ef")] {
        assert!(search(index_type, key, Depth::AtOnce(50)).is_err());
        assert_eq!(search(index_type, key, Depth::InSteps(50)).unwrap(), 30);
    }
}
