//! `cargo xtask bench`: measures this project, beside other libraries and servers where there are any.
//!
//! Not here: what is measured (`crates/bench`, the benches of each crate) and compared (`bench/`).

use crate::command::{Failure, root, run, script};

/// Modes of `bench/modes.py`.
const MODES: [&str; 5] = ["filters", "deletes", "flat", "sparse", "disk"];

pub(crate) const USAGE: &str = "\
  bench NAME [ARGS]     measures, and prints a table; NAME is one of
      data --out DIR    makes the data sets: minilm, sift, synth
      lib --data DIR    indexes beside hnswlib, faiss, usearch, ScaNN, SVS at equal recall
      filters | deletes | flat | disk --data DIR, sparse
                        indexes under filters, after deletes, at memory bandwidth, from disk
      kernel            distances at each instruction set
      standalone        the server beside milvus-lite
      other names       bench/NAME.py if there is one, else the Rust bench of that name
";

pub(crate) fn bench(args: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = args.split_first() else {
        return Err(Failure::new(format!("bench needs a name\n{USAGE}")));
    };
    if MODES.contains(&name.as_str()) {
        return script("bench/modes.py", args);
    }
    let file = format!("bench/{name}.py");
    if root().join(&file).is_file() {
        return script(&file, rest);
    }
    let mut all = match name.as_str() {
        "kernel" => vec!["bench", "--package", "milvus-kernel"],
        other => vec!["bench", "--bench", other],
    };
    all.extend(rest.iter().map(String::as_str));
    run("cargo", &all)
}
