use counterweight_primitives::architecture::{Bias, Output, Padding, Requantise, Shape, Window};

use super::*;

const BIAS: Bias = Bias { digits: 2, shift: 0 };
const RELU: Output = Output::Requantise(Requantise {
    shift: 12,
    relu: true,
});

fn window(side: u8, stride: u8) -> Window {
    Window {
        height: side,
        width: side,
        stride_y: stride,
        stride_x: stride,
    }
}

fn dense(input: u8, outputs: u16, output: Output) -> Layer {
    Layer::Dense {
        input: Node(input),
        outputs,
        bias: BIAS,
        output,
    }
}

fn conv(input: u8, channels: u16, side: u8, pad: u8) -> Layer {
    let padding = Padding {
        top: pad,
        left: pad,
        bottom: pad,
        right: pad,
    };
    Layer::Conv {
        input: Node(input),
        channels,
        window: window(side, 1),
        padding,
        bias: BIAS,
        output: RELU,
    }
}

fn pool(input: u8) -> Layer {
    Layer::MaxPool {
        input: Node(input),
        window: window(2, 2),
    }
}

fn mlp() -> Architecture {
    Architecture::new(
        Shape::vector(784).unwrap(),
        vec![dense(0, 128, RELU), dense(1, 10, Output::Raw)],
    )
    .unwrap()
}

fn lenet() -> Architecture {
    let layers = vec![
        conv(0, 6, 5, 2),
        pool(1),
        conv(2, 16, 5, 0),
        pool(3),
        dense(4, 120, RELU),
        dense(5, 84, RELU),
        dense(6, 10, Output::Raw),
    ];
    Architecture::new(Shape::new(1, 28, 28).unwrap(), layers).unwrap()
}

#[test]
fn the_mlp_is_laid_out_as_specified() {
    let plan = Plan::new(&mlp(), 13, Visibility::Public).unwrap();
    assert_eq!(plan.slot_bits, 8);
    assert_eq!(
        (
            plan.weight_rows,
            plan.first.rows,
            plan.second.rows,
            plan.input_rows
        ),
        (17, 1, 1, 0)
    );
    assert_eq!((plan.rounds, plan.tau_bits), (11, 11));
    let [first, second] = plan.weights.as_slice() else {
        panic!("two weighted layers")
    };
    // 784 inputs, two digits and a mask fit 1,024 cells; 128 inputs fill their bits, so digits and mask need another.
    assert_eq!(
        (
            first.joint.bits(),
            first.joint.base,
            first.offset,
            first.mask_cell
        ),
        (10, 784, 0, None)
    );
    assert_eq!(
        (second.joint.bits(), second.joint.base, second.joint.extra_bits),
        (8, 128, 1)
    );
    assert_eq!((second.offset, second.mask_cell), (1 << 17, Some(67)));
    assert_eq!(plan.evaluations(), 12);
}

#[test]
fn lenet_pads_spatial_nodes_and_packs_flat_ones() {
    let plan = Plan::new(&lenet(), 13, Visibility::Public).unwrap();
    let spatial: Vec<bool> = plan.nodes.iter().map(|node| node.layout.is_spatial()).collect();
    assert_eq!(spatial, [true, true, true, true, false, false, false, false]);
    let bits: Vec<usize> = plan.nodes.iter().map(|node| node.layout.bits()).collect();
    assert_eq!(bits, [10, 13, 11, 12, 9, 7, 7, 4]);
    let offsets: Vec<Option<usize>> = plan
        .nodes
        .iter()
        .map(|node| node.slots.as_ref().map(|slots| slots.offset))
        .collect();
    assert_eq!(
        offsets,
        [
            None,
            Some(0),
            Some(8192 + 4096),
            Some(8192),
            Some(14_336),
            Some(14_848),
            Some(14_976),
            None
        ]
    );
    assert_eq!(plan.slot_bits, 14);
    let joint: Vec<usize> = plan.weights.iter().map(|block| block.joint.bits()).collect();
    assert_eq!(joint, [6, 9, 9, 7, 7]);
    assert_eq!(plan.weight_rows, 12);
}

#[test]
fn one_commitment_serves_both_visibilities() {
    for architecture in [mlp(), lenet()] {
        let public = Plan::new(&architecture, 13, Visibility::Public).unwrap();
        let private = Plan::new(&architecture, 13, Visibility::Private).unwrap();
        assert_eq!(public.weight_rows, private.weight_rows);
        for (public, private) in public.weights.iter().zip(&private.weights) {
            assert_eq!((public.offset, &public.joint), (private.offset, &private.joint));
        }
        assert!(private.nodes[0].slots.is_some());
    }
}

#[test]
fn blocks_are_aligned_and_apart() {
    for visibility in [Visibility::Public, Visibility::Private] {
        let plan = Plan::new(&lenet(), 11, visibility).unwrap();
        let mut ranges: Vec<(usize, usize)> = plan
            .nodes
            .iter()
            .filter_map(|node| node.slots.as_ref())
            .map(|block| (block.offset, block.bits))
            .collect();
        ranges.sort_unstable();
        let mut end = 0;
        for (offset, bits) in ranges {
            assert!(offset >= end && offset % (1 << bits) == 0);
            end = offset + (1 << bits);
        }
        assert!(end <= plan.mask_slot());
    }
}

#[test]
fn bias_and_mask_cells_are_no_cells_of_the_input() {
    for architecture in [mlp(), lenet()] {
        let plan = Plan::new(&architecture, 12, Visibility::Private).unwrap();
        for block in &plan.weights {
            let sizes: Vec<usize> = block
                .joint
                .dimensions
                .iter()
                .map(|dimension| dimension.size)
                .collect();
            let mut cells = vec![Vec::new()];
            for size in sizes {
                cells = cells
                    .iter()
                    .flat_map(|cell| (0..size).map(move |at| [cell.clone(), vec![at]].concat()))
                    .collect();
            }
            let cells: Vec<usize> = cells
                .iter()
                .map(|cell: &Vec<usize>| block.joint.cell(cell))
                .collect();
            for own in block.joint.base..=block.joint.mask_cell() {
                assert!(!cells.contains(&own));
                assert!(own < 1 << block.joint.bits());
            }
        }
    }
}

#[test]
fn what_is_added_has_one_layout() {
    let add = |left, right| Layer::Add {
        left: Node(left),
        right: Node(right),
        left_multiplier: 1,
        right_multiplier: 1,
        output: Requantise {
            shift: 1,
            relu: false,
        },
    };
    // The pool's output would be flat, were it not added to what a convolution made.
    let layers = vec![
        conv(0, 4, 3, 1),
        pool(1),
        conv(2, 4, 3, 1),
        add(2, 3),
        dense(4, 3, Output::Raw),
    ];
    let architecture = Architecture::new(Shape::new(1, 8, 8).unwrap(), layers).unwrap();
    let plan = Plan::new(&architecture, 11, Visibility::Public).unwrap();
    assert!(
        plan.nodes[2].layout.is_spatial()
            && plan.nodes[3].layout.is_spatial()
            && plan.nodes[4].layout.is_spatial()
    );
}

#[test]
fn an_input_that_a_pool_reads_is_refused_by_name() {
    let layers = vec![pool(0), dense(1, 3, Output::Raw)];
    let architecture = Architecture::new(Shape::new(1, 8, 8).unwrap(), layers).unwrap();
    let error = Plan::new(&architecture, 11, Visibility::Public).unwrap_err();
    assert_eq!(error, PlanError::InputLayer { layer: 0 });
}

#[test]
fn rows_out_of_range_are_refused() {
    for got in [0, 10, 19, 64] {
        assert_eq!(
            Plan::new(&mlp(), got, Visibility::Public),
            Err(PlanError::RowBits { got })
        );
    }
}
