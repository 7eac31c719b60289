// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IArchitecturePlanner} from "./interfaces/IArchitecturePlanner.sol";
import {
    ADD,
    AVERAGE_POOL,
    COLUMNS,
    COLUMN_BITS,
    CONV,
    DENSE,
    HYPER_KZG,
    MASK_BITS,
    MAX_POOL,
    MERCURY,
    NO_SLOTS,
    POOLED,
    PRIVATE_INPUT,
    Plan,
    REQUANTISED,
    ROUND_DEGREE,
    TABLE_BITS
} from "./zkml/Plan.sol";

/// @title ArchitecturePlanner
/// @notice See {IArchitecturePlanner}. A contract of its own because its code and the verifier's do not fit in one.
contract ArchitecturePlanner is IArchitecturePlanner {
    uint256 private constant MAGIC = 0x43574131; // "CWA1"
    uint256 private constant MOST_LAYERS = 64;
    uint256 private constant MOST_ELEMENTS = 1 << 20;
    uint256 private constant MOST_WEIGHTS = 1 << 26;
    uint256 private constant MOST_SHIFT = 16;
    uint256 private constant MOST_SHIFTED = 32_639;
    uint256 private constant MOST_BIAS_DIGITS = 3;
    uint256 private constant MOST_BIAS_SHIFT = 30;
    uint256 private constant MOST_POOLED = 4;
    uint256 private constant FEWEST_ROW_BITS = 11;
    uint256 private constant MOST_ROW_BITS = 18;
    uint256 private constant MOST_SLOT_BITS = 22;
    uint256 private constant MOST_WEIGHT_ROWS = 4_096;
    uint256 private constant REGISTRATION_MASKS = 4;
    // Forms of an output in a record.
    uint256 private constant RAW = 1;
    uint256 private constant CLAMPED_AT_ZERO = 3;

    struct Shape {
        uint256 channels;
        uint256 height;
        uint256 width;
    }

    struct Layer {
        uint256 record;
        uint256 kind;
        uint256 left;
        uint256 right;
        // 0 for a max pool, which has no accumulator.
        uint256 form;
        uint256 shift;
        uint256 terms;
        // The layer's word and the word of the index of its weights, as the plan has them; zero without weights.
        uint256 word;
        uint256 joint;
        uint256 blockBits;
    }

    struct Network {
        uint256 count;
        Layer[] layers;
        // Node 0 is the input, node i + 1 what layer i gives.
        Shape[] shapes;
        bool[] isRead;
        bool[] isSpatial;
        uint256 weights;
        uint256 weightRows;
        uint256 mostJointBits;
    }

    /// @inheritdoc IArchitecturePlanner
    function plan(bytes calldata architecture, uint256 rowBits, uint256 scheme)
        external
        pure
        returns (bytes memory plans)
    {
        if (rowBits < FEWEST_ROW_BITS || rowBits > MOST_ROW_BITS) revert RowBitsOutOfRange(rowBits);
        if (scheme != MERCURY && scheme != HYPER_KZG) revert UnknownScheme(scheme);
        Network memory network = _read(architecture);
        _markSpatial(network);
        _placeWeights(network, rowBits);
        return abi.encodePacked(
            _layOut(network, rowBits, scheme, NO_SLOTS), _layOut(network, rowBits, scheme, PRIVATE_INPUT)
        );
    }

    // What an architecture says

    function _read(bytes calldata architecture) private pure returns (Network memory network) {
        if (architecture.length < 32) revert ArchitectureRefused(0, Rule.Length);
        uint256 header = uint256(bytes32(architecture[:32]));
        uint256 count = _byte(header, 4);
        if (header >> 224 != MAGIC || _between(header, 5, 26) != 0) revert ArchitectureRefused(0, Rule.Header);
        if (count == 0 || count > MOST_LAYERS) revert ArchitectureRefused(0, Rule.Layers);
        if (architecture.length != 32 * (1 + count)) revert ArchitectureRefused(0, Rule.Length);
        network.count = count;
        network.layers = new Layer[](count);
        network.shapes = new Shape[](count + 1);
        network.isRead = new bool[](count + 1);
        network.isSpatial = new bool[](count + 1);
        network.shapes[0] = _shape(header, 0);
        for (uint256 i = 0; i < count; ++i) {
            uint256 record = uint256(bytes32(architecture[32 * (i + 1):32 * (i + 2)]));
            _readLayer(network, i, record);
        }
        for (uint256 i = 0; i < count; ++i) {
            if (!network.isRead[i]) revert ArchitectureRefused(i, Rule.Unused);
        }
        if (network.weights == 0) revert ArchitectureRefused(0, Rule.Weights);
    }

    function _readLayer(Network memory network, uint256 index, uint256 record) private pure {
        Layer memory layer = network.layers[index];
        layer.record = record;
        layer.kind = _byte(record, 0);
        layer.left = _byte(record, 1);
        layer.right = _byte(record, 2);
        layer.form = _byte(record, 3);
        layer.shift = _byte(record, 4);
        _checkBytes(layer, index);
        // Each node's shape is known once its layer was read, so a node that is not there yet cannot be read.
        if (layer.left > index || layer.right > index) revert ArchitectureRefused(index, Rule.Order);
        network.isRead[layer.left] = true;
        if (layer.kind == ADD) network.isRead[layer.right] = true;
        Shape memory shape = _shape(record, index);
        network.shapes[index + 1] = shape;
        uint256 bound = _bound(network, layer, shape, index);
        if (bound >= 1 << 31) revert ArchitectureRefused(index, Rule.Accumulator);
        if (layer.form == RAW) {
            if (index + 1 != network.count) revert ArchitectureRefused(index, Rule.Raw);
        } else if (layer.form != 0) {
            uint256 shift = layer.shift;
            if (shift > MOST_SHIFT) revert ArchitectureRefused(index, Rule.Shift);
            uint256 half = shift == 0 ? 0 : 1 << (shift - 1);
            if ((bound + half) >> shift > MOST_SHIFTED) revert ArchitectureRefused(index, Rule.Shift);
        }
    }

    /// @dev Kind and form have a meaning, and what the kind does not use is zero: there is one encoding.
    function _checkBytes(Layer memory layer, uint256 index) private pure {
        uint256 record = layer.record;
        uint256 kind = layer.kind;
        bool hasWeights = kind == DENSE || kind == CONV;
        bool hasWindow = kind == CONV || kind == AVERAGE_POOL || kind == MAX_POOL;
        bool isGood = kind >= DENSE && kind <= MAX_POOL && layer.form <= CLAMPED_AT_ZERO;
        isGood = isGood && (kind == MAX_POOL ? layer.form == 0 : layer.form > (hasWeights ? 0 : RAW));
        isGood = isGood && (layer.form > RAW || layer.shift == 0);
        isGood = isGood && (kind == ADD || (layer.right == 0 && _byte(record, 8) == 0));
        isGood = isGood && (hasWeights || _between(record, 5, 7) == 0);
        isGood = isGood && (kind == AVERAGE_POOL || kind == ADD || _byte(record, 7) == 0);
        isGood = isGood && (hasWindow || _between(record, 9, 13) == 0);
        isGood = isGood && (kind == CONV || _between(record, 13, 17) == 0) && _between(record, 17, 26) == 0;
        if (!isGood) revert ArchitectureRefused(index, Rule.Byte);
    }

    /// @dev The largest absolute value of the layer's accumulators; checks the shape that its record names.
    function _bound(Network memory network, Layer memory layer, Shape memory made, uint256 index)
        private
        pure
        returns (uint256)
    {
        Shape memory input = network.shapes[layer.left];
        uint256 record = layer.record;
        uint256 kind = layer.kind;
        if (kind == DENSE) {
            if (made.height != 1 || made.width != 1) revert ArchitectureRefused(index, Rule.Shape);
            return _weighted(network, layer, input.channels * input.height * input.width, index);
        }
        if (kind == ADD) {
            _checkSame(input, network.shapes[layer.right], index, Rule.Summands);
            _checkSame(input, made, index, Rule.Shape);
            return 128 * (_multiplier(record, 7, index) + _multiplier(record, 8, index));
        }
        _checkSlide(record, input, made, index);
        layer.terms = _byte(record, 9) * _byte(record, 10);
        if (kind == CONV) return _weighted(network, layer, input.channels * layer.terms, index);
        if (made.channels != input.channels) revert ArchitectureRefused(index, Rule.Shape);
        if (kind == AVERAGE_POOL) return _multiplier(record, 7, index) * 128 * layer.terms;
        if (layer.terms > MOST_POOLED) revert ArchitectureRefused(index, Rule.Pooled);
        return 128;
    }

    function _weighted(Network memory network, Layer memory layer, uint256 terms, uint256 index)
        private
        pure
        returns (uint256 bound)
    {
        uint256 shift = _byte(layer.record, 5);
        uint256 digits = _byte(layer.record, 6);
        if (digits > MOST_BIAS_DIGITS || shift > MOST_BIAS_SHIFT || (digits == 0 && shift != 0)) {
            revert ArchitectureRefused(index, Rule.Bias);
        }
        bound = terms * 128 * 128;
        for (uint256 digit = 0; digit < digits; ++digit) {
            bound += 128 << (shift + 8 * digit);
        }
        layer.terms = terms;
        network.weights += network.shapes[index + 1].channels * terms;
        if (network.weights > MOST_WEIGHTS) revert ArchitectureRefused(index, Rule.Weights);
    }

    /// @dev The window fits and gives as many places as the made shape has.
    function _checkSlide(uint256 record, Shape memory input, Shape memory made, uint256 index) private pure {
        for (uint256 axis = 0; axis < 2; ++axis) {
            uint256 window = _byte(record, 9 + axis);
            uint256 stride = _byte(record, 11 + axis);
            uint256 before = _byte(record, 13 + axis);
            uint256 behind = _byte(record, 15 + axis);
            uint256 length = (axis == 0 ? input.height : input.width) + before + behind;
            if (window == 0 || stride == 0 || before >= window || behind >= window || length < window) {
                revert ArchitectureRefused(index, Rule.Window);
            }
            if ((length - window) / stride + 1 != (axis == 0 ? made.height : made.width)) {
                revert ArchitectureRefused(index, Rule.Shape);
            }
        }
    }

    function _checkSame(Shape memory left, Shape memory right, uint256 index, Rule rule) private pure {
        if (left.channels != right.channels || left.height != right.height || left.width != right.width) {
            revert ArchitectureRefused(index, rule);
        }
    }

    function _multiplier(uint256 record, uint256 place, uint256 index) private pure returns (uint256 multiplier) {
        multiplier = _byte(record, place);
        if (multiplier == 0) revert ArchitectureRefused(index, Rule.Multiplier);
    }

    function _shape(uint256 record, uint256 index) private pure returns (Shape memory shape) {
        shape.channels = _between(record, 26, 28);
        shape.height = _between(record, 28, 30);
        shape.width = _between(record, 30, 32);
        uint256 elements = shape.channels * shape.height * shape.width;
        if (elements == 0 || elements > MOST_ELEMENTS) revert ArchitectureRefused(index, Rule.Shape);
    }

    // Where everything is

    /// @dev Spatial is what windows slide over, what convolutions make, and what is added to such a node.
    function _markSpatial(Network memory network) private pure {
        bool[] memory isSpatial = network.isSpatial;
        for (uint256 i = 0; i < network.count; ++i) {
            Layer memory layer = network.layers[i];
            if (layer.kind == CONV) isSpatial[i + 1] = true;
            if (layer.kind == CONV || layer.kind == AVERAGE_POOL || layer.kind == MAX_POOL) {
                isSpatial[layer.left] = true;
            }
        }
        // Ends: each pass but the last marks a node.
        bool hasChanged = true;
        while (hasChanged) {
            hasChanged = false;
            for (uint256 i = 0; i < network.count; ++i) {
                Layer memory layer = network.layers[i];
                if (layer.kind != ADD) continue;
                bool any = isSpatial[layer.left] || isSpatial[layer.right] || isSpatial[i + 1];
                bool all = isSpatial[layer.left] && isSpatial[layer.right] && isSpatial[i + 1];
                if (any && !all) {
                    isSpatial[layer.left] = isSpatial[layer.right] = isSpatial[i + 1] = true;
                    hasChanged = true;
                }
            }
        }
    }

    /// @dev The words of layers and of their weights, for a public and a private input alike.
    function _placeWeights(Network memory network, uint256 rowBits) private pure {
        uint256 largest = 0;
        for (uint256 i = 0; i < network.count; ++i) {
            Layer memory layer = network.layers[i];
            layer.word = _layerWord(layer);
            if (layer.kind > CONV) continue;
            uint256 outputs = network.shapes[i + 1].channels;
            _placeJoint(network, layer, outputs);
            if (layer.blockBits > largest) largest = layer.blockBits;
        }
        uint256 end = 0;
        // Blocks in order of size, so that each is aligned to its own.
        for (uint256 bits = largest + 1; bits > 0;) {
            --bits;
            for (uint256 i = 0; i < network.count; ++i) {
                Layer memory layer = network.layers[i];
                if (layer.kind > CONV || layer.blockBits != bits) continue;
                layer.word |= end << Plan.WEIGHTS_AT;
                end += 1 << bits;
            }
        }
        network.weightRows = _rows(end + REGISTRATION_MASKS, rowBits);
        if (network.weightRows > MOST_WEIGHT_ROWS) revert TooLarge(0, network.weightRows, 0);
    }

    function _layerWord(Layer memory layer) private pure returns (uint256) {
        uint256 record = layer.record;
        return layer.kind | (layer.left << Plan.LAYER_INPUT) | (layer.right << Plan.LAYER_RIGHT)
            | (_byte(record, 7) << Plan.LAYER_MULTIPLIER) | (_byte(record, 8) << Plan.LAYER_RIGHT_MULTIPLIER)
            | (_byte(record, 9) << Plan.WINDOW_HEIGHT) | (_byte(record, 10) << Plan.WINDOW_WIDTH)
            | (_byte(record, 11) << Plan.STRIDE_Y) | (_byte(record, 12) << Plan.STRIDE_X)
            | (_byte(record, 13) << Plan.PAD_TOP) | (_byte(record, 14) << Plan.PAD_LEFT)
            | (_byte(record, 6) << Plan.BIAS_DIGITS) | (_byte(record, 5) << Plan.BIAS_SHIFT);
    }

    /// @dev Digits of the bias and the mask lie behind the innermost dimension if there is room, otherwise in channels of
    /// their own.
    function _placeJoint(Network memory network, Layer memory layer, uint256 outputs) private pure {
        Shape memory input = network.shapes[layer.left];
        uint256[3] memory sizes;
        uint256 dimensions = 3;
        if (layer.kind == CONV) {
            sizes = [input.channels, _byte(layer.record, 9), _byte(layer.record, 10)];
        } else if (network.isSpatial[layer.left]) {
            sizes = [input.channels, input.height, input.width];
        } else {
            sizes = [input.channels, input.height * input.width, 0];
            dimensions = 2;
        }
        uint256 cells = _byte(layer.record, 6) + 1;
        uint256 bits = 0;
        for (uint256 i = 0; i < dimensions; ++i) {
            bits += _bitsFor(sizes[i]);
        }
        layer.joint = _dimensions(sizes, dimensions);
        uint256 inner = sizes[dimensions - 1];
        uint256 base = inner;
        uint256 extra = 0;
        if ((1 << _bitsFor(inner)) - inner < cells) {
            base = sizes[0] << (bits - _bitsFor(sizes[0]));
            uint256 needed = _bitsFor(base + cells);
            if (needed > bits) extra = needed - bits;
        }
        uint256 jointBits = bits + extra;
        uint256 outputBits = _bitsFor(outputs);
        if (jointBits > network.mostJointBits) network.mostJointBits = jointBits;
        layer.blockBits = outputBits + jointBits;
        layer.word |= (jointBits << Plan.JOINT_BITS) | (extra << Plan.EXTRA_BITS) | (outputBits << Plan.OUTPUT_BITS)
            | (base << Plan.BIAS_AT) | (outputs << Plan.OUTPUTS);
    }

    /// @dev What depends on whether the input is hidden, put together.
    struct Draft {
        uint256 rowBits;
        uint256 scheme;
        uint256 slotBits;
        uint256 rounds;
        uint256 tauBits;
        uint256 masks;
        uint256 hidden;
        uint256 inputRows;
        uint256[] nodes;
    }

    function _layOut(Network memory network, uint256 rowBits, uint256 scheme, uint256 inputKind)
        private
        pure
        returns (bytes memory)
    {
        Draft memory draft;
        draft.rowBits = rowBits;
        draft.scheme = scheme;
        draft.nodes = new uint256[](network.count + 1);
        _placeSlots(network, draft, inputKind);
        if (draft.slotBits > MOST_SLOT_BITS) revert TooLarge(draft.slotBits, network.weightRows, 0);
        draft.rounds = _max(draft.slotBits, _max(TABLE_BITS, network.mostJointBits));
        draft.tauBits = _max(draft.tauBits, _max(TABLE_BITS, draft.slotBits));
        draft.masks = 1 + ROUND_DEGREE * draft.rounds;
        if (inputKind == PRIVATE_INPUT) {
            draft.inputRows = _rows(1 << Plan.byteAt(draft.nodes[0], Plan.NODE_BITS), rowBits);
        }
        uint256[] memory words = new uint256[](Plan.words(network.count));
        words[3] = draft.nodes[0];
        for (uint256 i = 0; i < network.count; ++i) {
            Layer memory layer = network.layers[i];
            uint256 word = layer.word;
            if (layer.kind > CONV && layer.left == 0 || layer.kind == ADD && layer.right == 0) {
                revert ArchitectureRefused(i, Rule.InputLayer);
            }
            if (layer.kind <= CONV && Plan.byteAt(draft.nodes[layer.left], Plan.NODE_KIND) != NO_SLOTS) {
                // Checked below to be in a byte.
                word |= (draft.masks & 0xff) << Plan.MASK_CELL;
                ++draft.masks;
                ++draft.hidden;
            }
            words[4 + 3 * i] = word;
            words[5 + 3 * i] = layer.joint;
            words[6 + 3 * i] = draft.nodes[i + 1];
        }
        if (draft.masks > 1 << MASK_BITS) revert TooLarge(draft.slotBits, network.weightRows, draft.masks);
        _number(network, draft, words);
        return abi.encodePacked(words);
    }

    function _placeSlots(Network memory network, Draft memory draft, uint256 inputKind) private pure {
        uint256 largest = 0;
        for (uint256 i = 0; i <= network.count; ++i) {
            uint256 word = _nodeWord(network, i, inputKind);
            uint256 bits = Plan.byteAt(word, Plan.NODE_BITS);
            draft.nodes[i] = word;
            if (i != 0 && bits > draft.tauBits) draft.tauBits = bits;
            if (bits > largest) largest = bits;
        }
        uint256 end = 0;
        for (uint256 bits = largest + 1; bits > 0;) {
            --bits;
            for (uint256 i = 0; i <= network.count; ++i) {
                uint256 word = draft.nodes[i];
                if (Plan.byteAt(word, Plan.NODE_KIND) == NO_SLOTS || Plan.byteAt(word, Plan.NODE_BITS) != bits) continue;
                draft.nodes[i] = word | (end << Plan.SLOTS_AT);
                end += 1 << bits;
            }
        }
        // One slot more than the blocks take: the mask slot.
        draft.slotBits = _bitsFor(end + 1);
    }

    function _nodeWord(Network memory network, uint256 index, uint256 inputKind) private pure returns (uint256 word) {
        Shape memory shape = network.shapes[index];
        uint256 dimensions = network.isSpatial[index] ? 3 : 2;
        uint256[3] memory sizes =
            [shape.channels, dimensions == 3 ? shape.height : shape.height * shape.width, shape.width];
        word = _dimensions(sizes, dimensions);
        uint256 bits = 0;
        for (uint256 i = 0; i < dimensions; ++i) {
            bits += _bitsFor(sizes[i]);
        }
        word |= (bits << Plan.NODE_BITS) | (shape.height << Plan.HEIGHT) | (shape.width << Plan.WIDTH);
        if (dimensions == 3) word |= uint256(1) << Plan.IS_SPATIAL;
        if (index == 0) return word | inputKind;
        Layer memory layer = network.layers[index - 1];
        if (layer.form == 0) return word | POOLED;
        if (layer.form == RAW) return word | NO_SLOTS;
        return word | REQUANTISED | (layer.shift << Plan.SHIFT)
            | (uint256(layer.form == CLAMPED_AT_ZERO ? 1 : 0) << Plan.RELU);
    }

    /// @dev The numbers in a plan's first words.
    function _number(Network memory network, Draft memory draft, uint256[] memory words) private pure {
        uint256 rowBits = draft.rowBits;
        uint256 columnBits = draft.slotBits + COLUMN_BITS;
        (uint256 columnsAt, uint256 multiplicitiesAt, uint256 masksAt) = _firstVector(columnBits);
        uint256 cells = (1 << columnBits) + (1 << TABLE_BITS) + (1 << MASK_BITS);
        _put(words, Plan.ROW_BITS, rowBits);
        _put(words, Plan.SCHEME, draft.scheme);
        _put(words, Plan.SLOT_BITS, draft.slotBits);
        _put(words, Plan.ROUNDS, draft.rounds);
        _put(words, Plan.TAU_BITS, draft.tauBits);
        _put(words, Plan.LAYERS, network.count);
        _put(words, Plan.WEIGHT_ROWS, network.weightRows);
        _put(words, Plan.INPUT_ROWS, draft.inputRows);
        _put(words, Plan.FIRST_ROWS, _rows(cells, rowBits));
        _put(words, Plan.SECOND_ROWS, _rows((1 << draft.slotBits) + (1 << TABLE_BITS), rowBits));
        _put(words, Plan.COLUMNS_AT, columnsAt);
        _put(words, Plan.MULTIPLICITIES_AT, multiplicitiesAt);
        _put(words, Plan.MASKS_AT, masksAt);
        _put(words, Plan.INVERSES_AT, draft.slotBits < TABLE_BITS ? 1 << TABLE_BITS : 0);
        _put(words, Plan.TABLE_AT, draft.slotBits < TABLE_BITS ? 0 : 1 << draft.slotBits);
        _put(words, Plan.EVALUATIONS, COLUMNS + 3 + draft.hidden);
        Shape memory shape = network.shapes[0];
        _put(words, Plan.INPUT_BYTES, shape.channels * shape.height * shape.width);
        shape = network.shapes[network.count];
        bool isRaw = network.layers[network.count - 1].form == RAW;
        _put(words, Plan.OUTPUT_BYTES, shape.channels * shape.height * shape.width * (isRaw ? 4 : 1));
        _put(words, Plan.IS_RAW, isRaw ? 1 : 0);
        // Mercury: 8 points and 6 scalars; HyperKZG: points for all but one fold and 3 more, 3 scalars a fold and so on.
        _put(words, Plan.OPENING_BYTES, draft.scheme == MERCURY ? 704 : 64 * (rowBits + 2) + 32 * (2 * rowBits + 1));
    }

    /// @dev Columns, multiplicities, masks: in order of size, ties in this order.
    function _firstVector(uint256 columnBits)
        private
        pure
        returns (uint256 columnsAt, uint256 multiplicitiesAt, uint256 masksAt)
    {
        uint256 multiplicities = 1 << TABLE_BITS;
        if (columnBits >= TABLE_BITS) return (0, 1 << columnBits, (1 << columnBits) + multiplicities);
        if (columnBits >= MASK_BITS) return (multiplicities, 0, multiplicities + (1 << columnBits));
        return (multiplicities + (1 << MASK_BITS), 0, multiplicities);
    }

    // Numbers

    function _put(uint256[] memory words, uint256 index, uint256 value) private pure {
        words[index / 8] |= value << (224 - 32 * (index % 8));
    }

    function _dimensions(uint256[3] memory sizes, uint256 count) private pure returns (uint256 word) {
        for (uint256 i = 0; i < count; ++i) {
            word |= ((sizes[i] << 8) | _bitsFor(sizes[i])) << (Plan.DIMENSIONS + 32 * i);
        }
    }

    function _rows(uint256 cells, uint256 rowBits) private pure returns (uint256) {
        return (cells + (1 << rowBits) - 1) >> rowBits;
    }

    /// @dev The least bits that index so many cells.
    function _bitsFor(uint256 size) private pure returns (uint256 bits) {
        while (size > 1 << bits) {
            ++bits;
        }
    }

    function _max(uint256 left, uint256 right) private pure returns (uint256) {
        return left > right ? left : right;
    }

    /// @dev Byte `place` of a record, counted from the first.
    function _byte(uint256 record, uint256 place) private pure returns (uint256) {
        return (record >> (248 - 8 * place)) & 0xff;
    }

    /// @dev Bytes `from..to` of a record as a number.
    function _between(uint256 record, uint256 from, uint256 to) private pure returns (uint256) {
        return (record << (8 * from)) >> (256 - 8 * (to - from));
    }
}
