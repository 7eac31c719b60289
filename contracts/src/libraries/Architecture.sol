// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

/// @title Architecture
/// @notice Checks and reads the bytes of an architecture (docs/spec/arithmetic.md): a header and a record of 32 bytes for each
/// layer. Node 0 is the input, layer `i`, counted from 0, makes node `i + 1`.
library Architecture {
    /// @notice What an architecture may break
    enum Rule {
        Header,
        Length,
        Shape,
        Kind,
        Bytes,
        Order,
        Window,
        Bias,
        Multiplier,
        Output,
        Bound,
        Weights,
        Unused
    }

    /// @notice A record of one layer, taken apart
    struct Layer {
        uint256 kind;
        uint256 left;
        uint256 right;
        bool raw;
        bool relu;
        uint256 shift;
        uint256 biasShift;
        uint256 biasDigits;
        uint256 leftFactor;
        uint256 rightFactor;
        uint256 windowHeight;
        uint256 windowWidth;
        uint256 strideY;
        uint256 strideX;
        uint256 padTop;
        uint256 padLeft;
        Shape input;
        Shape output;
    }

    /// @notice Sides of a tensor
    struct Shape {
        uint256 channels;
        uint256 height;
        uint256 width;
    }

    /// @notice The architecture's bytes break a rule
    /// @param record Where: 0 is the header, layer `i` is record `i + 1`
    /// @param rule Which
    error InvalidArchitecture(uint256 record, Rule rule);

    uint256 internal constant DENSE = 1;
    uint256 internal constant CONV = 2;
    uint256 internal constant AVERAGE_POOL = 3;
    uint256 internal constant ADD = 4;
    uint256 internal constant MAX_POOL = 5;

    bytes32 private constant MODEL_DOMAIN = keccak256("counterweight/inference/open-model/v1");
    uint256 private constant MAGIC = 0x43574131;
    uint256 private constant MOST_LAYERS = 64;
    uint256 private constant MOST_ELEMENTS = 1 << 20;
    uint256 private constant MOST_WEIGHTS = 1 << 26;
    uint256 private constant MOST_SHIFT = 16;
    uint256 private constant MOST_SHIFTED = 32_639;
    uint256 private constant MOST_BIAS_SHIFT = 30;
    uint256 private constant MOST_BIAS_DIGITS = 3;
    uint256 private constant MOST_POOLED = 4;

    /// @dev Id of a model with public weights.
    function modelId(bytes calldata architecture, bytes32[] calldata weightRoots) internal pure returns (bytes32) {
        bytes32 weights = keccak256(abi.encodePacked(weightRoots));
        return keccak256(abi.encode(MODEL_DOMAIN, keccak256(architecture), weights));
    }

    /// @dev Number of layers. The bytes were checked.
    function layers(bytes calldata architecture) internal pure returns (uint256) {
        return uint8(architecture[4]);
    }

    /// @dev The shape of a node. The bytes were checked.
    function shape(bytes calldata architecture, uint256 node) internal pure returns (Shape memory) {
        return _shape(_record(architecture, node));
    }

    /// @dev The layer number `index`. The bytes were checked.
    function layer(bytes calldata architecture, uint256 index) internal pure returns (Layer memory) {
        return _layer(architecture, _record(architecture, index + 1));
    }

    function elements(Shape memory sides) internal pure returns (uint256) {
        return sides.channels * sides.height * sides.width;
    }

    /// @dev Bytes of a node's tensor: four for an element of a raw output, otherwise one. The bytes were checked.
    function bytesOf(bytes calldata architecture, uint256 node) internal pure returns (uint256 length) {
        uint256 record = _record(architecture, node);
        length = elements(_shape(record));
        // The header has zeros where a record says how the layer ends.
        if (node != 0 && _byte(record, 3) == 1) length *= 4;
    }

    /// @dev Elements an accumulator sums over, or a max pool compares.
    function terms(Layer memory self) internal pure returns (uint256) {
        if (self.kind == DENSE) return elements(self.input);
        uint256 window = self.windowHeight * self.windowWidth;
        return self.kind == CONV ? self.input.channels * window : self.kind == ADD ? 2 : window;
    }

    /// @dev Bytes of one row of weights: the weights, the digits of its bias, and zeros up to whole leaves.
    function rowBytes(Layer memory self) internal pure returns (uint256) {
        return (terms(self) + self.biasDigits + 31) & ~uint256(31);
    }

    /// @dev Bytes of all rows of weights; 0 for a layer without.
    function weightBytes(Layer memory self) internal pure returns (uint256) {
        return self.kind > CONV ? 0 : self.output.channels * rowBytes(self);
    }

    /// @dev Reverts unless the bytes are an architecture, by every rule of docs/spec/arithmetic.md.
    function check(bytes calldata architecture) internal pure {
        uint256 length = architecture.length;
        if (length < 64) revert InvalidArchitecture(0, Rule.Length);
        uint256 header = _record(architecture, 0);
        if (header >> 224 != MAGIC || header << 40 >> 88 != 0) revert InvalidArchitecture(0, Rule.Header);
        uint256 count = layers(architecture);
        if (count == 0 || count > MOST_LAYERS || length != 32 * (count + 1)) {
            revert InvalidArchitecture(0, Rule.Length);
        }
        _checkShape(0, _shape(header));
        uint256 read = 0;
        uint256 weights = 0;
        for (uint256 i = 1; i <= count; ++i) {
            uint256 record = _record(architecture, i);
            _checkShape(i, _shape(record));
            _checkBytes(i, record);
            // Before the nodes are looked up: they come earlier.
            uint256 left = _byte(record, 1);
            uint256 right = _byte(record, 2);
            if (left >= i || right >= i) revert InvalidArchitecture(i, Rule.Order);
            Layer memory self = _layer(architecture, record);
            read |= 1 << left;
            if (self.kind == ADD) read |= 1 << right;
            _checkOutput(architecture, i, self);
            _checkBound(i, self, count);
            if (self.kind <= CONV) weights += self.output.channels * terms(self);
            if (weights > MOST_WEIGHTS) revert InvalidArchitecture(i, Rule.Weights);
        }
        if (weights == 0) revert InvalidArchitecture(0, Rule.Weights);
        if (read != (1 << count) - 1) revert InvalidArchitecture(0, Rule.Unused);
    }

    function _checkShape(uint256 i, Shape memory sides) private pure {
        // Three factors below 2^16 stay below 2^48.
        uint256 count = elements(sides);
        if (count == 0 || count > MOST_ELEMENTS) revert InvalidArchitecture(i, Rule.Shape);
    }

    /// @dev A byte that a kind of layer does not use is zero.
    function _checkBytes(uint256 i, uint256 record) private pure {
        uint256 kind = _byte(record, 0);
        uint256 used;
        if (kind == DENSE) {
            used = 0xffff00ffffffff00000000000000000000000000000000000000ffffffffffff;
        } else if (kind == CONV) {
            used = 0xffff00ffffffff0000ffffffffffffffff000000000000000000ffffffffffff;
        } else if (kind == AVERAGE_POOL) {
            used = 0xffff00ffff0000ff00ffffffff00000000000000000000000000ffffffffffff;
        } else if (kind == ADD) {
            used = 0xffffffffff0000ffff0000000000000000000000000000000000ffffffffffff;
        } else if (kind == MAX_POOL) {
            used = 0xffff00000000000000ffffffff00000000000000000000000000ffffffffffff;
        } else {
            revert InvalidArchitecture(i, Rule.Kind);
        }
        if (record & ~used != 0) revert InvalidArchitecture(i, Rule.Bytes);
        uint256 end = _byte(record, 3);
        if (kind != MAX_POOL && (end == 0 || end > 3)) revert InvalidArchitecture(i, Rule.Output);
    }

    /// @dev The recorded output shape is the one that the layer gives.
    function _checkOutput(bytes calldata architecture, uint256 i, Layer memory self) private pure {
        Shape memory output = self.output;
        Shape memory input = self.input;
        if (self.kind == DENSE) {
            if (output.height != 1 || output.width != 1) revert InvalidArchitecture(i, Rule.Shape);
        } else if (self.kind == ADD) {
            if (!_equal(input, shape(architecture, self.right)) || !_equal(input, output)) {
                revert InvalidArchitecture(i, Rule.Shape);
            }
        } else {
            uint256 record = _record(architecture, i);
            uint256 height = _places(i, input.height, self.padTop, _byte(record, 15), self.windowHeight, self.strideY);
            uint256 width = _places(i, input.width, self.padLeft, _byte(record, 16), self.windowWidth, self.strideX);
            if (output.height != height || output.width != width) revert InvalidArchitecture(i, Rule.Shape);
            if (self.kind != CONV && output.channels != input.channels) revert InvalidArchitecture(i, Rule.Shape);
        }
    }

    /// @dev How many places a window has along one side. A window inside the padding alone would sum over nothing.
    function _places(uint256 i, uint256 side, uint256 before, uint256 behind, uint256 window, uint256 stride)
        private
        pure
        returns (uint256)
    {
        uint256 padded = side + before + behind;
        if (window == 0 || stride == 0 || before >= window || behind >= window || padded < window) {
            revert InvalidArchitecture(i, Rule.Window);
        }
        return (padded - window) / stride + 1;
    }

    /// @dev No accumulator leaves 32 bits, and what it becomes fits the tables of a proof.
    function _checkBound(uint256 i, Layer memory self, uint256 count) private pure {
        uint256 bound;
        if (self.kind <= CONV) {
            uint256 digits = self.biasDigits;
            if (
                digits > MOST_BIAS_DIGITS || self.biasShift > MOST_BIAS_SHIFT || (digits == 0 && self.biasShift != 0)
            ) revert InvalidArchitecture(i, Rule.Bias);
            bound = terms(self) << 14;
            for (uint256 k = 0; k < digits; ++k) {
                bound += 128 << (self.biasShift + 8 * k);
            }
        } else if (self.kind == MAX_POOL) {
            if (terms(self) > MOST_POOLED) revert InvalidArchitecture(i, Rule.Window);
            return;
        } else {
            if (self.leftFactor == 0 || (self.kind == ADD && self.rightFactor == 0)) {
                revert InvalidArchitecture(i, Rule.Multiplier);
            }
            uint256 factor = self.kind == ADD ? self.leftFactor + self.rightFactor : self.leftFactor * terms(self);
            bound = 128 * factor;
        }
        if (bound >= 1 << 31) revert InvalidArchitecture(i, Rule.Bound);
        if (self.raw) {
            if (i != count || self.kind > CONV || self.shift != 0) revert InvalidArchitecture(i, Rule.Output);
            return;
        }
        if (self.shift > MOST_SHIFT) revert InvalidArchitecture(i, Rule.Output);
        uint256 half = self.shift == 0 ? 0 : 1 << (self.shift - 1);
        if ((bound + half) >> self.shift > MOST_SHIFTED) revert InvalidArchitecture(i, Rule.Bound);
    }

    function _equal(Shape memory a, Shape memory b) private pure returns (bool) {
        return a.channels == b.channels && a.height == b.height && a.width == b.width;
    }

    function _layer(bytes calldata architecture, uint256 record) private pure returns (Layer memory self) {
        self.kind = _byte(record, 0);
        self.left = _byte(record, 1);
        self.right = _byte(record, 2);
        uint256 end = _byte(record, 3);
        self.raw = end == 1;
        self.relu = end == 3;
        self.shift = _byte(record, 4);
        self.biasShift = _byte(record, 5);
        self.biasDigits = _byte(record, 6);
        self.leftFactor = _byte(record, 7);
        self.rightFactor = _byte(record, 8);
        self.windowHeight = _byte(record, 9);
        self.windowWidth = _byte(record, 10);
        self.strideY = _byte(record, 11);
        self.strideX = _byte(record, 12);
        self.padTop = _byte(record, 13);
        self.padLeft = _byte(record, 14);
        self.input = shape(architecture, self.left);
        self.output = _shape(record);
    }

    function _shape(uint256 record) private pure returns (Shape memory) {
        return Shape({
            channels: record >> 32 & 0xffff,
            height: record >> 16 & 0xffff,
            width: record & 0xffff
        });
    }

    function _record(bytes calldata architecture, uint256 index) private pure returns (uint256) {
        return uint256(bytes32(architecture[32 * index:32 * index + 32]));
    }

    function _byte(uint256 record, uint256 index) private pure returns (uint256) {
        return record >> (248 - 8 * index) & 0xff;
    }
}
