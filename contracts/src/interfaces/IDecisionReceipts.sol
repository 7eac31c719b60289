// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Bonds behind receipts of decisions
/// @notice Whoever asks a model for a decision gets a receipt, in which the owner of a log promises that an entry will stand at a
/// place of that log, in a checkpoint anchored by a deadline (docs/spec/decision.md). A broken promise costs the owner a tenth of
/// the bond posted here, rounded up; half of that, rounded down, goes to whoever shows it and the rest is destroyed, so
/// that an owner who shows it first still loses half. Four ways, each of which ends:
///
/// - nothing anchored reaches the place after the deadline, or the log forked: `reportAbsent`, at once;
/// - another entry stands there: `reportOther`, at once;
/// - two receipts of one owner contradict each other: `reportContradiction`, at once, before the deadline too;
/// - nobody but the owner knows what stands there, because the log is not served: `open`. The owner answers with the proof within
/// a day, which everybody then sees, and keeps the deposit; otherwise `settle` takes silence for a broken promise.
///
/// An entry that was anchored late, but before anybody showed that it was missing, costs nothing. Wei owed is credited and
/// taken with `claim`. A bond covers only what is shown before it is withdrawn, seven days after that was asked for.
interface IDecisionReceipts {
    /// @notice The promise. Docs/spec/decision.md says how it is signed.
    /// @param log SHA-256 of the log's origin line
    /// @param endpoint SHA-256 of the endpoint's name
    /// @param counter Number of the decision at the endpoint, counted from 0
    /// @param index Place of the entry in the log, counted from 0
    /// @param leaf SHA-256 of 0x00 and the entry
    /// @param deadline Second (Unix time) by which a checkpoint that holds the entry is anchored
    struct Receipt {
        bytes32 log;
        bytes32 endpoint;
        uint64 counter;
        uint64 index;
        bytes32 leaf;
        uint64 deadline;
    }

    /// @notice A receipt and the signature of the owner of the log over the batch it belongs to
    /// @param receipt The promise
    /// @param path From the receipt to the root of the batch, at most 16 hashes
    /// @param r First half of the signature
    /// @param s Second half of the signature, in the lower half of the group order
    /// @param v 27 or 28
    struct SignedReceipt {
        Receipt receipt;
        bytes32[] path;
        bytes32 r;
        bytes32 s;
        uint8 v;
    }

    /// @notice What stands behind the receipts of a log
    /// @param amount Wei posted
    /// @param withdrawableAt Second (Unix time) from which the owner may take it back, 0 if that was not asked for
    /// @param open Number of open disputes; while there are any the bond stays
    struct Bond {
        uint128 amount;
        uint64 withdrawableAt;
        uint64 open;
    }

    /// @notice How far a receipt got
    enum State {
        /// @dev Nobody disputed it
        None,
        /// @dev The owner has to answer
        Open,
        /// @dev The owner answered with the proof
        Kept,
        /// @dev Shown to be broken, or not answered
        Broken
    }

    /// @notice A dispute about a receipt
    /// @param challenger Who opened it
    /// @param answerBy Last second (Unix time) in which the owner may answer
    /// @param state How far it got
    /// @param deposit Wei the challenger put down
    struct Dispute {
        address challenger;
        uint64 answerBy;
        State state;
        uint128 deposit;
    }

    /// @notice Emitted when an owner adds to a bond
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param amount Wei the bond has now
    event Bonded(bytes32 indexed log, address indexed owner, uint128 amount);

    /// @notice Emitted when an owner asks for a bond back
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param withdrawableAt Second (Unix time) from which it may be taken
    event WithdrawalRequested(bytes32 indexed log, address indexed owner, uint64 withdrawableAt);

    /// @notice Emitted when an owner takes a bond back
    /// @param log SHA-256 of the log's origin line
    /// @param owner Whose log it is
    /// @param amount Wei credited to the owner
    event Withdrawn(bytes32 indexed log, address indexed owner, uint128 amount);

    /// @notice Emitted when a receipt is disputed
    /// @param id The dispute: `disputeOf(owner, receipt)`
    /// @param log SHA-256 of the log's origin line
    /// @param owner Who has to answer
    /// @param receipt The promise
    /// @param challenger Who disputes it
    /// @param answerBy Last second (Unix time) in which the owner may answer
    /// @param deposit Wei the challenger put down
    event Disputed(
        bytes32 indexed id,
        bytes32 indexed log,
        address indexed owner,
        Receipt receipt,
        address challenger,
        uint64 answerBy,
        uint128 deposit
    );

    /// @notice Emitted when an owner shows that a promise was kept
    /// @param id The dispute
    /// @param path The proof, from the leaf upwards
    /// @param deposit Wei credited to the owner
    event Answered(bytes32 indexed id, bytes32[] path, uint128 deposit);

    /// @notice Emitted when a promise was shown to be broken, or was not defended
    /// @param id The dispute
    /// @param log SHA-256 of the log's origin line
    /// @param owner Who broke it
    /// @param reporter Who showed it
    /// @param reward Wei credited to the reporter, without the deposit it gets back
    /// @param burned Wei destroyed
    event PromiseBroken(
        bytes32 indexed id,
        bytes32 indexed log,
        address indexed owner,
        address reporter,
        uint128 reward,
        uint128 burned
    );

    /// @notice Emitted when credited wei is taken
    /// @param account Whose it was
    /// @param receiver Who was paid
    /// @param amount Wei paid
    event Claimed(address indexed account, address indexed receiver, uint256 amount);

    /// @notice This is no signature over a batch that holds the receipt
    error InvalidSignature();

    /// @notice The path of the receipt in its batch is too long
    /// @param length Its length
    error PathTooLong(uint256 length);

    /// @notice The promise may still be kept
    /// @param deadline Last second (Unix time) to keep it in
    error DeadlineNotPassed(uint64 deadline);

    /// @notice The newest anchored checkpoint reaches the place that was promised, and the log did not fork
    /// @param index The place
    /// @param size Size of that checkpoint
    error PlaceAnchored(uint64 index, uint64 size);

    /// @notice The proof does not lead to the newest anchored checkpoint
    /// @param index The entry that was to be shown
    error NotAnchored(uint64 index);

    /// @notice The entry shown is the one that was promised
    /// @param index Its place
    error PromiseKept(uint64 index);

    /// @notice The two receipts do not contradict each other
    error NoContradiction();

    /// @notice There is no bond, or nothing was added to it
    /// @param log SHA-256 of the log's origin line
    error NoBond(bytes32 log);

    /// @notice The bond is still held
    /// @param log SHA-256 of the log's origin line
    /// @param withdrawableAt Second (Unix time) from which it may be taken, 0 if that was not asked for
    /// @param open Number of open disputes
    error BondHeld(bytes32 log, uint64 withdrawableAt, uint64 open);

    /// @notice The dispute is in another state
    /// @param id The dispute
    /// @param state Its state
    error WrongState(bytes32 id, State state);

    /// @notice The owner may still answer, or may no longer
    /// @param id The dispute
    /// @param answerBy Last second (Unix time) in which it may
    error WrongTime(bytes32 id, uint64 answerBy);

    /// @notice The wei sent along is not the deposit
    /// @param expected The deposit
    /// @param got What came
    error WrongDeposit(uint256 expected, uint256 got);

    /// @notice Nothing is credited to the account
    /// @param account Whose credit was asked for
    error NothingCredited(address account);

    /// @notice The receiver refused the payment
    /// @param receiver Who was to be paid
    error PaymentRefused(address receiver);

    /// @notice Adds the wei sent along to the bond behind the receipts of the caller's own log; a withdrawal that was asked for is
    /// forgotten
    /// @param log SHA-256 of the log's origin line
    function postBond(bytes32 log) external payable;

    /// @notice Asks for the bond of the caller's own log: it can be taken after seven days
    /// @param log SHA-256 of the log's origin line
    function requestWithdrawal(bytes32 log) external;

    /// @notice Credits the bond of the caller's own log to the caller, once no dispute is open
    /// @param log SHA-256 of the log's origin line
    function withdraw(bytes32 log) external;

    /// @notice Shows that nothing anchored reaches the place of a receipt after its deadline, or that the log forked
    /// @param signed The receipt
    function reportAbsent(SignedReceipt calldata signed) external;

    /// @notice Shows that another entry stands at the place of a receipt
    /// @param signed The receipt
    /// @param leaf SHA-256 of 0x00 and the entry that stands there
    /// @param path Its audit path in the newest anchored checkpoint
    function reportOther(SignedReceipt calldata signed, bytes32 leaf, bytes32[] calldata path) external;

    /// @notice Shows that one owner signed two receipts with different leaves for one place of a log, or for one number of an
    /// endpoint. Both count as broken; the bond pays once.
    /// @param one A receipt
    /// @param other The one that contradicts it
    function reportContradiction(SignedReceipt calldata one, SignedReceipt calldata other) external;

    /// @notice Asks the owner to show that a promise was kept. A receipt is disputed once.
    /// @param signed The receipt, after its deadline
    /// @return id The dispute
    function open(SignedReceipt calldata signed) external payable returns (bytes32 id);

    /// @notice Shows that a disputed promise was kept; by anyone, for the owner
    /// @param owner Who signed the receipt
    /// @param receipt The promise
    /// @param path Audit path of the entry in the newest anchored checkpoint
    function answer(address owner, Receipt calldata receipt, bytes32[] calldata path) external;

    /// @notice Ends a dispute that was not answered in time; by anyone
    /// @param owner Who signed the receipt
    /// @param receipt The promise
    function settle(address owner, Receipt calldata receipt) external;

    /// @notice Pays what is credited to the caller
    /// @param receiver Who is paid
    function claim(address receiver) external;

    /// @notice The wei to put down with `open`: a hundredth of the bond, rounded up, at most 0.01 ether
    function depositOf(address owner, bytes32 log) external view returns (uint256);

    /// @notice The bond behind the receipts of a log
    function bond(address owner, bytes32 log) external view returns (Bond memory);

    /// @notice The dispute about a receipt, by its id
    function dispute(bytes32 id) external view returns (Dispute memory);

    /// @notice Wei credited to an account
    function creditOf(address account) external view returns (uint256);

    /// @notice The id of a receipt's dispute
    function disputeOf(address owner, Receipt calldata receipt) external pure returns (bytes32);

    /// @notice Who signed a receipt
    function ownerOf(SignedReceipt calldata signed) external view returns (address);
}
