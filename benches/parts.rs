//! The time of the parts that every request passes: copying the ring's bytes, and checking its path.

use std::hint::black_box;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use xenstore::abi::{DomId, RingPage};
use xenstore::path::{PathBuf, Special, canonicalize};
use xenstore::ring;

/// Bytes of a short request, of a long one, and of a full ring.
const SIZES: [usize; 3] = [40, 256, 1024];

fn copy(c: &mut Criterion) {
    let page = RingPage::new();
    let mut bytes = [7; 1024];
    let mut group = c.benchmark_group("ring");
    for size in SIZES {
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::new("from the guest", size), |b| {
            // Not on a word's edge, as most messages.
            page.req_cons.store(13, Relaxed);
            page.req_prod.store(13 + size as u32, Relaxed);
            b.iter(|| {
                let input = ring::input(&page);
                if let Ok(input) = input {
                    input.copy_rest(&page, 0, &mut bytes[..size]);
                }
                black_box(&bytes);
            });
        });
        group.bench_function(BenchmarkId::new("to the guest", size), |b| {
            page.rsp_cons.store(13, Relaxed);
            page.rsp_prod.store(13, Relaxed);
            b.iter(|| ring::output(&page).map(|mut output| output.put(&page, black_box(&bytes[..size]))));
        });
    }
    group.finish();
}

fn path(c: &mut Criterion) {
    let mut group = c.benchmark_group("canonicalize");
    for path in ["device/vif/0/state", "/local/domain/5/device/vif/0/state"] {
        let mut buffer = PathBuf::new();
        group.bench_function(path, |b| {
            b.iter(|| {
                let path = black_box(path.as_bytes());
                canonicalize(path, DomId(5), Some(2048), Special::Refused, &mut buffer).is_ok()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    // Long enough to see what a change costs, short enough to ask often.
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = copy, path
}
criterion_main!(benches);
