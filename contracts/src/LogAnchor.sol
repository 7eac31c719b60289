// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ILogAnchor} from "./interfaces/ILogAnchor.sol";

/// @title LogAnchor
/// @notice See {ILogAnchor}
contract LogAnchor is ILogAnchor {
    /// @dev How long contradictions can be shown after a bond was asked back.
    uint64 private constant WITHDRAWAL_DELAY = 7 days;

    /// @dev SHA-256 of nothing. Written out, because the compiler would have it hashed anew wherever it is used.
    bytes32 private constant EMPTY_ROOT = 0xe3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855;
    bytes32 private constant CHECKPOINT_TYPE = keccak256("Checkpoint(bytes32 log,uint64 size,bytes32 root)");
    bytes32 private constant DOMAIN = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version)"), keccak256("Counterweight log"), keccak256("1")
        )
    );

    /// @dev Upper half of the group order of secp256k1: a changed copy of another signature (EIP-2).
    bytes32 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    mapping(address owner => mapping(bytes32 log => Head)) private _heads;
    mapping(address owner => mapping(bytes32 log => Bond)) private _bonds;

    /// @inheritdoc ILogAnchor
    function anchor(bytes32 log, uint64 size, bytes32 root, bytes32[] calldata proof) external {
        _anchor(msg.sender, log, size, root, proof);
    }

    /// @inheritdoc ILogAnchor
    function anchorSigned(
        address owner,
        bytes32 log,
        SignedCheckpoint calldata checkpoint,
        bytes32[] calldata proof
    ) external {
        _requireSigned(owner, log, checkpoint);
        _anchor(owner, log, checkpoint.size, checkpoint.root, proof);
    }

    /// @inheritdoc ILogAnchor
    function head(address owner, bytes32 log) external view returns (Head memory) {
        return _heads[owner][log];
    }

    /// @inheritdoc ILogAnchor
    function verifyInclusion(bytes32 root, uint64 size, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        return _includes(root, size, index, leaf, path);
    }

    /// @inheritdoc ILogAnchor
    function verifyConsistency(
        uint64 oldSize,
        bytes32 oldRoot,
        uint64 newSize,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) external view returns (bool) {
        return _extends(oldSize, oldRoot, newSize, newRoot, proof);
    }

    /// @inheritdoc ILogAnchor
    function isAnchored(address owner, bytes32 log, uint64 index, bytes32 leaf, bytes32[] calldata path)
        external
        view
        returns (bool)
    {
        Head storage current = _heads[owner][log];
        return !current.forked && _includes(current.root, current.size, index, leaf, path);
    }

    /// @inheritdoc ILogAnchor
    function checkpointHash(bytes32 log, uint64 size, bytes32 root) public pure returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", DOMAIN, keccak256(abi.encode(CHECKPOINT_TYPE, log, size, root))));
    }

    /// @inheritdoc ILogAnchor
    function postBond(bytes32 log) external payable {
        if (msg.value == 0) revert NoBond(log);
        if (_heads[msg.sender][log].forked) revert LogForked(log);
        Bond storage posted = _bonds[msg.sender][log];
        // All wei there are fit 97 bits, so no sum of payments overflows 128.
        uint128 amount = posted.amount + uint128(msg.value);
        posted.amount = amount;
        posted.withdrawableAt = 0;
        emit Bonded(log, msg.sender, amount);
    }

    /// @inheritdoc ILogAnchor
    function requestWithdrawal(bytes32 log) external {
        Bond storage posted = _bonds[msg.sender][log];
        if (posted.amount == 0) revert NoBond(log);
        uint64 withdrawableAt = uint64(block.timestamp) + WITHDRAWAL_DELAY;
        posted.withdrawableAt = withdrawableAt;
        emit WithdrawalRequested(log, msg.sender, withdrawableAt);
    }

    /// @inheritdoc ILogAnchor
    function withdraw(bytes32 log, address receiver) external {
        Bond memory posted = _bonds[msg.sender][log];
        if (posted.amount == 0) revert NoBond(log);
        if (posted.withdrawableAt == 0 || block.timestamp < posted.withdrawableAt) {
            revert BondHeld(log, posted.withdrawableAt);
        }
        // Closed before the payment, so a receiver that calls back finds nothing left.
        delete _bonds[msg.sender][log];
        emit Withdrawn(log, msg.sender, posted.amount);
        _pay(receiver, posted.amount);
    }

    /// @inheritdoc ILogAnchor
    function bond(address owner, bytes32 log) external view returns (Bond memory) {
        return _bonds[owner][log];
    }

    /// @inheritdoc ILogAnchor
    function reportSplitView(
        address owner,
        bytes32 log,
        SignedCheckpoint calldata one,
        SignedCheckpoint calldata other
    ) external {
        if (one.size != other.size || one.root == other.root) revert NoContradiction(log);
        _requireSigned(owner, log, one);
        _requireSigned(owner, log, other);
        _convict(owner, log);
    }

    /// @inheritdoc ILogAnchor
    function reportUnanchored(address owner, bytes32 log, SignedCheckpoint calldata checkpoint) external {
        Head storage current = _heads[owner][log];
        // Nothing anchored is no checkpoint that anybody vouched for.
        if (current.size == 0 || checkpoint.size != current.size || checkpoint.root == current.root) {
            revert NoContradiction(log);
        }
        _requireSigned(owner, log, checkpoint);
        _convict(owner, log);
    }

    /// @inheritdoc ILogAnchor
    function reportRewrittenEntry(
        address owner,
        bytes32 log,
        uint64 index,
        SignedCheckpoint calldata one,
        Inclusion calldata inOne,
        SignedCheckpoint calldata other,
        Inclusion calldata inOther
    ) external {
        bool contradicts = inOne.leaf != inOther.leaf
            && _includes(one.root, one.size, index, inOne.leaf, inOne.path)
            && _includes(other.root, other.size, index, inOther.leaf, inOther.path);
        if (!contradicts) revert NoContradiction(log);
        _requireSigned(owner, log, one);
        _requireSigned(owner, log, other);
        _convict(owner, log);
    }

    function _anchor(address owner, bytes32 log, uint64 size, bytes32 root, bytes32[] calldata proof) private {
        Head storage current = _heads[owner][log];
        (uint64 before, bool forked) = (current.size, current.forked);
        if (root == 0) revert EmptyCheckpoint(log);
        if (forked) revert LogForked(log);
        if (size <= before) revert SizeNotGrowing(log, size, before);
        // Before the first checkpoint the root in storage is zero, where the empty tree has another.
        bytes32 oldRoot = before == 0 ? EMPTY_ROOT : current.root;
        if (!_extends(before, oldRoot, size, root, proof)) revert Inconsistent(log, size, before);
        current.root = root;
        // The other word of `Head`, written once where the compiler would write it for each of its members. `forked` is false.
        assembly ("memory-safe") {
            sstore(current.slot, or(size, shl(64, timestamp())))
        }
        emit Anchored(log, owner, size, root);
    }

    function _requireSigned(address owner, bytes32 log, SignedCheckpoint calldata checkpoint) private pure {
        bytes32 hash = checkpointHash(log, checkpoint.size, checkpoint.root);
        // `ecrecover` answers 0 to what is no signature, and nobody owns that account.
        address signer =
            checkpoint.s > HALF_ORDER ? address(0) : ecrecover(hash, checkpoint.v, checkpoint.r, checkpoint.s);
        if (signer == address(0) || signer != owner) revert NotSignedByOwner(owner, checkpoint.size);
    }

    function _convict(address owner, bytes32 log) private {
        Head storage current = _heads[owner][log];
        if (current.forked) revert LogForked(log);
        current.forked = true;
        uint128 amount = _bonds[owner][log].amount;
        delete _bonds[owner][log];
        uint128 reward = amount / 2;
        emit Forked(log, owner, msg.sender, reward, amount - reward);
        _pay(msg.sender, reward);
        _pay(address(0), amount - reward);
    }

    function _pay(address receiver, uint256 amount) private {
        if (amount == 0) return;
        (bool paid,) = receiver.call{value: amount}("");
        if (!paid) revert PaymentRefused(receiver);
    }

    /// @dev RFC 9162, section 2.1.3.2, step by step; `node`, `last` are its fn, sn. `last` halves at least once for
    /// each hash and ends the loop at 0, so a long path costs no more than 64 hashes.
    ///
    /// Assembly, because the compiler would copy each pair into newly allocated memory, at twice the gas. It is safe: it
    /// reads `path` from calldata between its own bounds, writes 65 bytes from the free memory pointer on without moving
    /// it, and the first word, which is scratch space. A precompile that ran out of gas is not taken for an answer. To the
    /// compiler a call is never `pure`, hence `view`.
    function _includes(bytes32 root, uint256 size, uint256 index, bytes32 leaf, bytes32[] calldata path)
        private
        view
        returns (bool holds)
    {
        if (index >= size) return false;
        assembly ("memory-safe") {
            let pair := mload(0x40)
            mstore8(pair, 1)
            let left := add(pair, 1)
            let right := add(pair, 33)
            let node := index
            let last := sub(size, 1)
            let hash := leaf
            let at := path.offset
            let end := add(at, shl(5, path.length))
            for {} and(lt(at, end), gt(last, 0)) {} {
                switch or(and(node, 1), eq(node, last))
                case 0 {
                    mstore(left, hash)
                    mstore(right, calldataload(at))
                }
                default {
                    mstore(left, calldataload(at))
                    mstore(right, hash)
                    // The last node of a level of odd width has no sibling: it rises until it is a right child. It is
                    // `last` and so not 0.
                    for {} iszero(and(node, 1)) {} {
                        node := shr(1, node)
                        last := shr(1, last)
                    }
                }
                if iszero(staticcall(gas(), 2, pair, 65, 0, 32)) { revert(0, 0) }
                hash := mload(0)
                node := shr(1, node)
                last := shr(1, last)
                at := add(at, 32)
            }
            // Every hash was used, and none is missing.
            holds := and(and(eq(at, end), iszero(last)), eq(hash, root))
        }
    }

    /// @dev RFC 9162, section 2.1.4.2, where fn and sn start as `node` and `last` and fr, sr are the hashes in `older` and
    /// `newer`. The steps are the same, in two loops: while `node` and `last` differ each level has a sibling, and from where they
    /// meet only right children have one. The proof's length is looked at in the end alone: there are at most 64 levels, and what is
    /// read beyond the proof ends in a no.
    ///
    /// Both hashes stay where the next pair has its right half. The first sibling is always a right one, because the shared
    /// subtree is the largest, so from then on the hashes differ and both are needed.
    ///
    /// Assembly for the reason in `_includes`. It is safe: it reads calldata, which ends in zeros, and writes 130 bytes from the
    /// free memory pointer on without moving it.
    function _extends(
        uint256 node,
        bytes32 oldRoot,
        uint256 last,
        bytes32 newRoot,
        bytes32[] calldata proof
    ) private view returns (bool holds) {
        if (node > last) return false;
        if (node == last) return proof.length == 0 && oldRoot == newRoot;
        if (node == 0) return proof.length == 0 && oldRoot == EMPTY_ROOT;
        assembly ("memory-safe") {
            let older := mload(0x40)
            let newer := add(older, 65)
            mstore8(older, 1)
            mstore8(newer, 1)
            let oldHash := add(older, 33)
            let newHash := add(newer, 33)
            let at := proof.offset
            // Both trees share the full subtree that ends with the last old entry; where it is the old tree itself, the
            // proof leaves its root out.
            let shared := oldRoot
            if and(node, sub(node, 1)) {
                shared := calldataload(at)
                at := add(at, 32)
            }
            mstore(oldHash, shared)
            mstore(newHash, shared)
            // The height of that subtree is how often 2 divides the old size.
            let side := and(node, sub(0, node))
            node := div(sub(node, 1), side)
            let differing := xor(node, div(sub(last, 1), side))
            holds := 1
            for {} differing {} {
                switch and(node, 1)
                case 0 {
                    mstore(add(newer, 1), mload(newHash))
                    mstore(newHash, calldataload(at))
                }
                default {
                    let sibling := calldataload(at)
                    mstore(add(older, 1), sibling)
                    mstore(add(newer, 1), sibling)
                    holds := and(holds, staticcall(gas(), 2, older, 65, oldHash, 32))
                }
                holds := and(holds, staticcall(gas(), 2, newer, 65, newHash, 32))
                at := add(at, 32)
                node := shr(1, node)
                differing := shr(1, differing)
            }
            // Above, both trees have the same left siblings, one for each bit that is set.
            for {} node { node := and(node, sub(node, 1)) } {
                let sibling := calldataload(at)
                mstore(add(older, 1), sibling)
                mstore(add(newer, 1), sibling)
                holds := and(holds, staticcall(gas(), 2, older, 65, oldHash, 32))
                holds := and(holds, staticcall(gas(), 2, newer, 65, newHash, 32))
                at := add(at, 32)
            }
            // A precompile that ran out of gas is not taken for an answer.
            if iszero(holds) { revert(0, 0) }
            holds := and(
                eq(at, add(proof.offset, shl(5, proof.length))),
                and(eq(mload(oldHash), oldRoot), eq(mload(newHash), newRoot))
            )
        }
    }
}
