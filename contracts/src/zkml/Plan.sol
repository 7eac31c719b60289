// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {Multilinear} from "./Multilinear.sol";
import {times} from "./Scalars.sol";

/// @dev Bits of an index into the lookup table.
uint256 constant TABLE_BITS = 11;
/// @dev Entries of the table in use; entry 0 holds masks.
uint256 constant TABLE_USED = 1536;
/// @dev Bits of an index into the mask segment.
uint256 constant MASK_BITS = 8;
/// @dev Degree of the rounds of the first sum-check; coefficients sent for each.
uint256 constant ROUND_DEGREE = 6;
/// @dev Columns of the slots.
uint256 constant COLUMNS = 8;
uint256 constant COLUMN_BITS = 3;
/// @dev Rows of a proof that mask the second sum-check and the opening.
uint256 constant MASK_ROWS = 3;

/// @dev What a node's slots hold.
uint256 constant NO_SLOTS = 0;
uint256 constant REQUANTISED = 1;
uint256 constant POOLED = 2;
uint256 constant PRIVATE_INPUT = 3;

/// @dev Kinds of layers, as in the bytes of an architecture.
uint256 constant DENSE = 1;
uint256 constant CONV = 2;
uint256 constant AVERAGE_POOL = 3;
uint256 constant ADD = 4;
uint256 constant MAX_POOL = 5;

/// @dev The opening schemes' numbers.
uint256 constant MERCURY = 1;
uint256 constant HYPER_KZG = 2;

/// @title The public layout of a proof (docs/spec/zkml.md, section 2), digested for the verifier
/// @notice Three words of numbers, the word of node 0, then three words for each layer: the layer, the index of its
/// weights, the node it makes. Made once by {ArchitecturePlanner}, kept as code, read by {InferenceVerifier}.
/// @dev A plan is the address in memory of its first word.
library Plan {
    /// @dev Numbers in the first three words, eight of 32 bits each.
    uint256 internal constant ROW_BITS = 0;
    uint256 internal constant SCHEME = 1;
    uint256 internal constant SLOT_BITS = 2;
    uint256 internal constant ROUNDS = 3;
    uint256 internal constant TAU_BITS = 4;
    uint256 internal constant LAYERS = 5;
    uint256 internal constant WEIGHT_ROWS = 6;
    uint256 internal constant INPUT_ROWS = 7;
    uint256 internal constant FIRST_ROWS = 8;
    uint256 internal constant SECOND_ROWS = 9;
    uint256 internal constant COLUMNS_AT = 10;
    uint256 internal constant MULTIPLICITIES_AT = 11;
    uint256 internal constant MASKS_AT = 12;
    uint256 internal constant INVERSES_AT = 13;
    uint256 internal constant TABLE_AT = 14;
    uint256 internal constant EVALUATIONS = 15;
    uint256 internal constant INPUT_BYTES = 16;
    uint256 internal constant OUTPUT_BYTES = 17;
    uint256 internal constant IS_RAW = 18;
    uint256 internal constant OPENING_BYTES = 19;

    /// @dev Where numbers are in a layer's word: bits from the least significant.
    uint256 internal constant LAYER_KIND = 0;
    uint256 internal constant LAYER_INPUT = 8;
    uint256 internal constant LAYER_RIGHT = 16;
    uint256 internal constant LAYER_MULTIPLIER = 24;
    uint256 internal constant LAYER_RIGHT_MULTIPLIER = 32;
    uint256 internal constant WINDOW_HEIGHT = 40;
    uint256 internal constant WINDOW_WIDTH = 48;
    uint256 internal constant STRIDE_Y = 56;
    uint256 internal constant STRIDE_X = 64;
    uint256 internal constant PAD_TOP = 72;
    uint256 internal constant PAD_LEFT = 80;
    uint256 internal constant BIAS_DIGITS = 88;
    uint256 internal constant BIAS_SHIFT = 96;
    uint256 internal constant MASK_CELL = 104;
    uint256 internal constant JOINT_BITS = 112;
    uint256 internal constant EXTRA_BITS = 120;
    uint256 internal constant OUTPUT_BITS = 128;
    uint256 internal constant WEIGHTS_AT = 136;
    uint256 internal constant BIAS_AT = 168;
    uint256 internal constant OUTPUTS = 200;

    /// @dev Where numbers are in a node's word. The dimensions are in the same place in the word of a layer's weights.
    uint256 internal constant NODE_KIND = 0;
    uint256 internal constant NODE_BITS = 8;
    uint256 internal constant SHIFT = 16;
    uint256 internal constant RELU = 24;
    uint256 internal constant SLOTS_AT = 32;
    uint256 internal constant DIMENSIONS = 64;
    uint256 internal constant IS_SPATIAL = 160;
    uint256 internal constant HEIGHT = 168;
    uint256 internal constant WIDTH = 184;

    /// @dev Words of a plan of so many layers.
    function words(uint256 layers) internal pure returns (uint256) {
        unchecked {
            return 4 + 3 * layers;
        }
    }

    function number(uint256 plan, uint256 index) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, mload(add(plan, shl(2, index))))
        }
    }

    function node(uint256 plan, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(plan, add(96, mul(index, 96))))
        }
    }

    function layer(uint256 plan, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(plan, add(128, mul(index, 96))))
        }
    }

    function joint(uint256 plan, uint256 index) internal pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := mload(add(plan, add(160, mul(index, 96))))
        }
    }

    /// @dev Eight bits of a word.
    function byteAt(uint256 word, uint256 place) internal pure returns (uint256) {
        return (word >> place) & 0xff;
    }

    function uint32At(uint256 word, uint256 place) internal pure returns (uint256) {
        return (word >> place) & 0xffffffff;
    }

    function uint16At(uint256 word, uint256 place) internal pure returns (uint256) {
        return (word >> place) & 0xffff;
    }

    /// @dev Dimension 0, 1 or 2 of a node's or a joint's word: 8 bits of bits under 24 of size.
    function dimension(uint256 word, uint256 index) internal pure returns (uint256 size, uint256 bits) {
        unchecked {
            uint256 both = word >> (DIMENSIONS + 32 * index);
            return ((both >> 8) & 0xffffff, both & 0xff);
        }
    }

    /// @dev All of a word's dimensions. Those that are there have a size, so a zero ends them.
    function _dimensions(uint256 word) private pure returns (uint256) {
        return (word >> DIMENSIONS) & 0xffffffffffffffffffffffff;
    }

    /// @dev Sum of eq(left, cell) eq(right, cell) over the cells of a word's dimensions.
    function equalOver(uint256 word, uint256 left, uint256 right) internal pure returns (uint256 product) {
        unchecked {
            product = 1;
            for (uint256 dimensions = _dimensions(word); dimensions != 0; dimensions >>= 32) {
                uint256 bits = dimensions & 0xff;
                if (bits != 0) {
                    uint256 part = Multilinear.equalBelow((dimensions >> 8) & 0xffffff, bits, left, right);
                    product = times(product, part);
                    left += 32 * bits;
                    right += 32 * bits;
                }
            }
        }
    }

    /// @dev Sums over the cells of a word's dimensions: of eq(left, cell) eq(right, cell), and of eq(right, cell).
    function equalAndSumOver(uint256 word, uint256 left, uint256 right)
        internal
        pure
        returns (uint256 equal, uint256 sum)
    {
        unchecked {
            equal = 1;
            sum = 1;
            for (uint256 dimensions = _dimensions(word); dimensions != 0; dimensions >>= 32) {
                uint256 bits = dimensions & 0xff;
                if (bits != 0) {
                    (uint256 equalPart, uint256 sumPart) =
                        Multilinear.equalAndSumBelow((dimensions >> 8) & 0xffffff, bits, left, right);
                    equal = times(equal, equalPart);
                    sum = times(sum, sumPart);
                    left += 32 * bits;
                    right += 32 * bits;
                }
            }
        }
    }

    /// @dev Sum of eq(point, cell) over the cells of a word's dimensions.
    function sumOver(uint256 word, uint256 point) internal pure returns (uint256 product) {
        unchecked {
            product = 1;
            for (uint256 dimensions = _dimensions(word); dimensions != 0; dimensions >>= 32) {
                uint256 bits = dimensions & 0xff;
                if (bits != 0) {
                    uint256 part = Multilinear.sumBelow((dimensions >> 8) & 0xffffff, bits, point);
                    product = times(product, part);
                    point += 32 * bits;
                }
            }
        }
    }
}
