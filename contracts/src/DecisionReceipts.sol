// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";

import {IDecisionReceipts} from "./interfaces/IDecisionReceipts.sol";
import {ILogAnchor} from "./interfaces/ILogAnchor.sol";

/// @title DecisionReceipts
/// @notice See {IDecisionReceipts}
/// @dev Wei leaves through `claim` alone, and to the zero account, which runs no code. So nothing can be entered again in between,
/// and nobody can hold up a dispute by refusing a payment.
contract DecisionReceipts is IDecisionReceipts {
    uint64 private constant WITHDRAWAL_DELAY = 7 days;
    uint64 private constant ANSWER_WINDOW = 1 days;

    /// @dev What a broken promise costs is the bond divided by this.
    uint128 private constant SHARE = 10;
    uint128 private constant DEPOSIT_SHARE = 100;

    /// @dev More than the gas of an answer, so that asking for nothing pays the owner; and not so much that only a large holder
    /// of receipts can ask.
    uint128 private constant MAX_DEPOSIT = 0.01 ether;

    /// @dev A batch has at most 65,536 receipts.
    uint256 private constant MAX_PATH = 16;

    bytes32 private constant RECEIPT_TYPE = keccak256(
        "DecisionReceipt(bytes32 log,bytes32 endpoint,uint64 counter,uint64 index,bytes32 leaf,uint64 deadline)"
    );
    bytes32 private constant BATCH_TYPE = keccak256("DecisionReceipts(bytes32 root)");
    bytes32 private constant DOMAIN = keccak256(
        abi.encode(
            keccak256("EIP712Domain(string name,string version)"),
            keccak256("Counterweight decision receipt"),
            keccak256("1")
        )
    );

    /// @dev Upper half of the group order of secp256k1: a changed copy of another signature (EIP-2).
    bytes32 private constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice Where logs are anchored
    ILogAnchor public immutable anchors;

    mapping(address owner => mapping(bytes32 log => Bond)) private _bonds;
    mapping(bytes32 id => Dispute) private _disputes;
    mapping(address account => uint256) private _credit;

    constructor(ILogAnchor logAnchor) {
        anchors = logAnchor;
    }

    // Bonds

    /// @inheritdoc IDecisionReceipts
    function postBond(bytes32 log) external payable {
        if (msg.value == 0) revert NoBond(log);
        Bond storage posted = _bonds[msg.sender][log];
        // All wei there are fit 97 bits, so no sum of payments overflows 128.
        uint128 amount = posted.amount + uint128(msg.value);
        (posted.amount, posted.withdrawableAt) = (amount, 0);
        emit Bonded(log, msg.sender, amount);
    }

    /// @inheritdoc IDecisionReceipts
    function requestWithdrawal(bytes32 log) external {
        Bond storage posted = _bonds[msg.sender][log];
        if (posted.amount == 0) revert NoBond(log);
        uint64 withdrawableAt = uint64(block.timestamp) + WITHDRAWAL_DELAY;
        posted.withdrawableAt = withdrawableAt;
        emit WithdrawalRequested(log, msg.sender, withdrawableAt);
    }

    /// @inheritdoc IDecisionReceipts
    function withdraw(bytes32 log) external {
        Bond memory posted = _bonds[msg.sender][log];
        if (posted.amount == 0) revert NoBond(log);
        if (posted.withdrawableAt == 0 || block.timestamp < posted.withdrawableAt || posted.open != 0) {
            revert BondHeld(log, posted.withdrawableAt, posted.open);
        }
        delete _bonds[msg.sender][log];
        _credit[msg.sender] += posted.amount;
        emit Withdrawn(log, msg.sender, posted.amount);
    }

    /// @inheritdoc IDecisionReceipts
    function claim(address receiver) external {
        uint256 amount = _credit[msg.sender];
        if (amount == 0) revert NothingCredited(msg.sender);
        // Closed before the payment, so a receiver that calls back finds nothing left.
        delete _credit[msg.sender];
        emit Claimed(msg.sender, receiver, amount);
        _pay(receiver, amount);
    }

    // What can be shown at once

    /// @inheritdoc IDecisionReceipts
    function reportAbsent(SignedReceipt calldata signed) external {
        address owner = _overdue(signed);
        bytes32 id = _id(owner, _hash(signed.receipt));
        // An entry that was shown stays shown, even where the log forks later.
        if (_disputes[id].state == State.Kept) revert WrongState(id, State.Kept);
        ILogAnchor.Head memory head = anchors.head(owner, signed.receipt.log);
        if (!head.forked && head.size > signed.receipt.index) revert PlaceAnchored(signed.receipt.index, head.size);
        _break(owner, signed.receipt, msg.sender);
    }

    /// @inheritdoc IDecisionReceipts
    function reportOther(SignedReceipt calldata signed, bytes32 leaf, bytes32[] calldata path) external {
        // Not only after the deadline: what stands there stays there.
        address owner = ownerOf(signed);
        if (leaf == signed.receipt.leaf) revert PromiseKept(signed.receipt.index);
        _requireAnchored(owner, signed.receipt, leaf, path);
        _break(owner, signed.receipt, msg.sender);
    }

    /// @inheritdoc IDecisionReceipts
    function reportContradiction(SignedReceipt calldata one, SignedReceipt calldata other) external {
        Receipt calldata a = one.receipt;
        Receipt calldata b = other.receipt;
        bool samePlace = a.index == b.index || (a.endpoint == b.endpoint && a.counter == b.counter);
        if (a.log != b.log || a.leaf == b.leaf || !samePlace) revert NoContradiction();
        address owner = ownerOf(one);
        if (ownerOf(other) != owner) revert NoContradiction();
        // The second is used up with the first, unless a dispute about it has its own end to come to.
        Dispute storage second = _disputes[_id(owner, _hash(b))];
        if (second.state == State.Broken) revert WrongState(_id(owner, _hash(b)), State.Broken);
        if (second.state != State.Open) second.state = State.Broken;
        _break(owner, a, msg.sender);
    }

    // What only the owner can answer

    /// @inheritdoc IDecisionReceipts
    function open(SignedReceipt calldata signed) external payable returns (bytes32 id) {
        Receipt calldata receipt = signed.receipt;
        address owner = _overdue(signed);
        id = _id(owner, _hash(receipt));
        Dispute storage current = _disputes[id];
        if (current.state != State.None) revert WrongState(id, current.state);
        Bond storage posted = _bonds[owner][receipt.log];
        if (posted.amount == 0) revert NoBond(receipt.log);
        uint256 deposit = depositOf(owner, receipt.log);
        if (msg.value != deposit) revert WrongDeposit(deposit, msg.value);
        ++posted.open;
        uint64 answerBy = uint64(block.timestamp) + ANSWER_WINDOW;
        _disputes[id] = Dispute(msg.sender, answerBy, State.Open, uint128(deposit));
        emit Disputed(id, receipt.log, owner, receipt, msg.sender, answerBy, uint128(deposit));
    }

    /// @inheritdoc IDecisionReceipts
    function answer(address owner, Receipt calldata receipt, bytes32[] calldata path) external {
        (bytes32 id, Dispute storage current) = _opened(owner, receipt);
        if (block.timestamp > current.answerBy) revert WrongTime(id, current.answerBy);
        _requireAnchored(owner, receipt, receipt.leaf, path);
        uint128 deposit = current.deposit;
        (current.state, current.deposit) = (State.Kept, 0);
        --_bonds[owner][receipt.log].open;
        _credit[owner] += deposit;
        emit Answered(id, path, deposit);
    }

    /// @inheritdoc IDecisionReceipts
    function settle(address owner, Receipt calldata receipt) external {
        (bytes32 id, Dispute storage current) = _opened(owner, receipt);
        if (block.timestamp <= current.answerBy) revert WrongTime(id, current.answerBy);
        _break(owner, receipt, current.challenger);
    }

    // Views

    /// @inheritdoc IDecisionReceipts
    function bond(address owner, bytes32 log) external view returns (Bond memory) {
        return _bonds[owner][log];
    }

    /// @inheritdoc IDecisionReceipts
    function dispute(bytes32 id) external view returns (Dispute memory) {
        return _disputes[id];
    }

    /// @inheritdoc IDecisionReceipts
    function creditOf(address account) external view returns (uint256) {
        return _credit[account];
    }

    /// @inheritdoc IDecisionReceipts
    function disputeOf(address owner, Receipt calldata receipt) external pure returns (bytes32) {
        return _id(owner, _hash(receipt));
    }

    /// @inheritdoc IDecisionReceipts
    function depositOf(address owner, bytes32 log) public view returns (uint256) {
        uint256 deposit = _part(_bonds[owner][log].amount, DEPOSIT_SHARE);
        return deposit < MAX_DEPOSIT ? deposit : MAX_DEPOSIT;
    }

    /// @inheritdoc IDecisionReceipts
    function ownerOf(SignedReceipt calldata signed) public pure returns (address owner) {
        if (signed.path.length > MAX_PATH) revert PathTooLong(signed.path.length);
        bytes32 root = MerkleProof.processProofCalldata(signed.path, _hash(signed.receipt));
        bytes32 hash =
            keccak256(abi.encodePacked("\x19\x01", DOMAIN, keccak256(abi.encode(BATCH_TYPE, root))));
        // `ecrecover` answers 0 to what is no signature.
        owner = signed.s > HALF_ORDER ? address(0) : ecrecover(hash, signed.v, signed.r, signed.s);
        if (owner == address(0)) revert InvalidSignature();
    }

    // Rules

    function _overdue(SignedReceipt calldata signed) private view returns (address owner) {
        owner = ownerOf(signed);
        if (block.timestamp <= signed.receipt.deadline) revert DeadlineNotPassed(signed.receipt.deadline);
    }

    function _opened(address owner, Receipt calldata receipt)
        private
        view
        returns (bytes32 id, Dispute storage current)
    {
        id = _id(owner, _hash(receipt));
        current = _disputes[id];
        if (current.state != State.Open) revert WrongState(id, current.state);
    }

    function _requireAnchored(address owner, Receipt calldata receipt, bytes32 leaf, bytes32[] calldata path)
        private
        view
    {
        if (!anchors.isAnchored(owner, receipt.log, receipt.index, leaf, path)) revert NotAnchored(receipt.index);
    }

    /// @dev Ends a promise as broken, from whatever state but that. A dispute that was open ends too and its challenger has the deposit
    /// back, whoever reports.
    function _break(address owner, Receipt calldata receipt, address reporter) private {
        bytes32 id = _id(owner, _hash(receipt));
        Dispute storage current = _disputes[id];
        Bond storage posted = _bonds[owner][receipt.log];
        if (current.state == State.Broken) revert WrongState(id, State.Broken);
        if (current.state == State.Open) {
            --posted.open;
            _credit[current.challenger] += current.deposit;
            current.deposit = 0;
        }
        current.state = State.Broken;
        uint128 share = _part(posted.amount, SHARE);
        uint128 reward = share / 2;
        posted.amount -= share;
        _credit[reporter] += reward;
        emit PromiseBroken(id, receipt.log, owner, reporter, reward, share - reward);
        _pay(address(0), share - reward);
    }

    function _pay(address receiver, uint256 amount) private {
        if (amount == 0) return;
        (bool paid,) = receiver.call{value: amount}("");
        if (!paid) revert PaymentRefused(receiver);
    }

    /// @dev Rounded up, so that the last wei can be lost.
    function _part(uint128 amount, uint128 divisor) private pure returns (uint128) {
        return amount / divisor + (amount % divisor == 0 ? 0 : 1);
    }

    function _id(address owner, bytes32 hash) private pure returns (bytes32) {
        return keccak256(abi.encode(owner, hash));
    }

    function _hash(Receipt calldata receipt) private pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPE, receipt));
    }
}
