// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Claims about inferences, and games over them that end on the chain
/// @notice A claim says that a model gives an output on an input. It is accepted once its window has passed and no challenge is
/// open; whoever knows better challenges it before. What a challenge takes depends on the lane:
///
/// - `Open`: weights are public. The claim commits to every layer's output; the challenger names the first layer that is
///   wrong, the claimant reveals it, and the contract recomputes one element.
/// - `Sealed`: weights are committed and hidden. A challenged claim is proven in zero knowledge before a deadline, or lost. The
///   same for claims that are drawn for an audit. A proof at any time before accepts the claim at once.
/// - `Private`: as `Sealed`, and the input is hidden as well.
///
/// Each move has a deadline; after it anyone settles against the party that was silent. Bonds are in the chain's own coin. The
/// winner of a challenge gets the loser's bond without the part that is burnt; burnt coins stay in this contract for ever. What
/// somebody is owed is credited, and paid when they withdraw. Formats, moves and the proof that every path ends:
/// docs/spec/dispute.md.
interface IInferenceDispute {
    /// @notice How a claim can be checked
    enum Lane {
        Open,
        Sealed,
        Private
    }

    /// @notice Where a claim stands
    enum Status {
        None,
        Pending,
        Accepted,
        Rejected
    }

    /// @notice Whose turn it is in a challenge, and for what. The claimant's: `Prove`, `Publish`, `Split`, `Reveal`, `Sum`. The
    /// challenger's: `Name`, `Pick`, `Point`, `Tile`. The rest are ends.
    enum Phase {
        None,
        Prove,
        Publish,
        Name,
        Split,
        Pick,
        Reveal,
        Point,
        Sum,
        Tile,
        ChallengerWon,
        ClaimantWon,
        Returned
    }

    /// @notice What a claim is staked on; whoever relies on a claim checks them
    /// @param window Seconds from the claim in which it may be challenged
    /// @param response Seconds for each move
    /// @param burntPpm Millionths of a lost bond that are burnt, from 250,000 to 500,000
    /// @param auditPpm Millionths of claims drawn for an audit; 0 in the open lane
    /// @param claimBond Wei the claimant stakes
    /// @param challengeBond Wei each challenger stakes
    struct Terms {
        uint32 window;
        uint32 response;
        uint32 burntPpm;
        uint32 auditPpm;
        uint96 claimBond;
        uint96 challengeBond;
    }

    /// @notice A claim. The contract keeps its hash, which is its id; every call brings the claim itself
    /// @param model The model: of `OpenModels` in the open lane, otherwise of the verifier
    /// @param context What the claim is made for, such as a hash of chain, contract and job; a proof must be bound to it
    /// @param input Root of the input's tree; in the private lane keccak256 of the input's commitment
    /// @param output keccak256 of the output's bytes
    /// @param trace keccak256 of the roots of all nodes, input and output included; zero outside the open lane
    /// @param claimant Who made it
    /// @param madeAt Time of the block it was made in
    /// @param madeIn Number of the block it was made in
    /// @param lane How it can be checked
    /// @param terms What it is staked on
    struct Claim {
        bytes32 model;
        bytes32 context;
        bytes32 input;
        bytes32 output;
        bytes32 trace;
        address claimant;
        uint64 madeAt;
        uint64 madeIn;
        Lane lane;
        Terms terms;
    }

    /// @notice A claim in the open lane with what its hashes stand for
    /// @param claim The claim
    /// @param architecture Bytes of the architecture
    /// @param weightRoots Root of each layer's weights, zero for layers without
    /// @param roots Root of each node, the input first
    struct Game {
        Claim claim;
        bytes architecture;
        bytes32[] weightRoots;
        bytes32[] roots;
    }

    /// @notice Leaves of a tree with what ties them to its root
    /// @param leaves 32 bytes each, in order; which ones they are follows from the move
    /// @param siblings Nodes that cannot be computed, level by level from the leaves up, from left to right
    struct Opening {
        bytes leaves;
        bytes32[] siblings;
    }

    /// @notice A challenge
    /// @param challenger Who made it; nobody for an audit
    /// @param deadline Last second of the move that is due
    /// @param phase Which move that is
    /// @param layer The layer named, counted from 0; in `Publish` the layer whose weights are asked for, 255 for the input
    /// @param part The block asked for or picked
    struct Challenge {
        address challenger;
        uint64 deadline;
        Phase phase;
        uint8 layer;
        uint16 part;
    }

    /// @notice Emitted when a claim is made
    /// @param id The claim's id
    /// @param model The model it is about
    /// @param claimant Who made it
    /// @param claim The claim
    /// @param roots In the open lane, the root of each node
    /// @param input The input's bytes, empty where they were not given
    /// @param output The output's bytes
    event ClaimMade(
        bytes32 indexed id,
        bytes32 indexed model,
        address indexed claimant,
        Claim claim,
        bytes32[] roots,
        bytes input,
        bytes output
    );

    /// @notice Emitted when lots were drawn over a claim
    /// @param id The claim
    /// @param audited Whether it must be proven
    event AuditDrawn(bytes32 indexed id, bool audited);

    /// @notice Emitted for each new challenge, an audit included
    /// @param id The claim
    /// @param index Number of the challenge, counted from 0 in each claim
    /// @param challenger Who made it; nobody for an audit
    event ChallengeOpened(bytes32 indexed id, uint256 indexed index, address indexed challenger);

    /// @notice Emitted whenever a move is due
    /// @param id The claim
    /// @param index The challenge
    /// @param phase The move that is due
    /// @param deadline Its last second
    /// @param layer The layer it is about, 255 for the input
    /// @param part The block it is about
    event MoveDue(bytes32 indexed id, uint256 indexed index, Phase phase, uint64 deadline, uint8 layer, uint16 part);

    /// @notice Emitted when the bytes of a block were published or revealed
    /// @param id The claim
    /// @param index The challenge
    /// @param data The bytes
    event BytesShown(bytes32 indexed id, uint256 indexed index, bytes data);

    /// @notice Emitted when the claimant splits a layer into blocks
    /// @param id The claim
    /// @param index The challenge
    /// @param tops Node above each block
    event LayerSplit(bytes32 indexed id, uint256 indexed index, bytes32[] tops);

    /// @notice Emitted when the challenger points at an element whose accumulator has several tiles
    /// @param id The claim
    /// @param index The challenge
    /// @param element The element
    event ElementPointed(bytes32 indexed id, uint256 indexed index, uint256 element);

    /// @notice Emitted when the claimant says what each tile of the accumulator sums to
    /// @param id The claim
    /// @param index The challenge
    /// @param sums The sums
    event SumsGiven(bytes32 indexed id, uint256 indexed index, int32[] sums);

    /// @notice Emitted when recomputing an element gave something else than the claimant said
    /// @param id The claim
    /// @param index The challenge
    /// @param said The element, or the sum of a tile, as the claimant gave it
    /// @param is_ What the contract computed
    event FaultShown(bytes32 indexed id, uint256 indexed index, int256 said, int256 is_);

    /// @notice Emitted when a claim was proven in zero knowledge
    /// @param id The claim
    event ClaimProven(bytes32 indexed id);

    /// @notice Emitted when a challenge ends
    /// @param id The claim
    /// @param index The challenge
    /// @param end `ChallengerWon`, `ClaimantWon` or `Returned`
    /// @param credited Wei credited to the winner; to the challenger where the bond is returned
    /// @param burnt Wei burnt
    event ChallengeEnded(bytes32 indexed id, uint256 indexed index, Phase end, uint256 credited, uint256 burnt);

    /// @notice Emitted when a claim ends; its bond is credited to the claimant if it was accepted
    /// @param id The claim
    /// @param status `Accepted` or `Rejected`
    event ClaimEnded(bytes32 indexed id, Status status);

    /// @notice Emitted when somebody withdraws
    /// @param account Whose credit it was
    /// @param to Where it went
    /// @param amount Wei
    event Withdrawn(address indexed account, address indexed to, uint256 amount);

    /// @notice A number of the terms is outside its bounds
    /// @param field Its name
    error InvalidTerms(string field);

    /// @notice No model has this id
    /// @param model The id given
    error UnknownModel(bytes32 model);

    /// @notice The model's output is too long to be claimed
    /// @param length Bytes of the output
    /// @param limit Most bytes
    error OutputTooLong(uint256 length, uint256 limit);

    /// @notice A list or string has another length than the architecture gives
    /// @param expected Its length by the architecture
    /// @param got The length given
    error WrongLength(uint256 expected, uint256 got);

    /// @notice Bytes are not what a root stands for
    /// @param root The root
    error RootMismatch(bytes32 root);

    /// @notice The lane has no such move
    /// @param lane The claim's lane
    error WrongLane(Lane lane);

    /// @notice The value sent is not the bond
    /// @param expected Wei of the bond
    /// @param got Wei sent
    error WrongBond(uint256 expected, uint256 got);

    /// @notice The same claim was made already in this block
    /// @param id Its id
    error AlreadyClaimed(bytes32 id);

    /// @notice The claim is not pending
    /// @param id Its id
    /// @param status Where it stands
    error NotPending(bytes32 id, Status status);

    /// @notice A sealed claim has one challenge at most: it must be proven already
    /// @param id The claim
    error AlreadyChallenged(bytes32 id);

    /// @notice What was given does not hash to what the claim says
    /// @param expected The hash in the claim
    /// @param got The hash of what was given
    error HashMismatch(bytes32 expected, bytes32 got);

    /// @notice Another move is due
    /// @param id The claim
    /// @param index The challenge
    /// @param phase The move that is due
    error WrongPhase(bytes32 id, uint256 index, Phase phase);

    /// @notice This move is the other party's
    /// @param expected Who may make it
    /// @param got Who tried
    error NotYourMove(address expected, address got);

    /// @notice It is too late for this
    /// @param time Now
    /// @param deadline The last second
    error TooLate(uint64 time, uint64 deadline);

    /// @notice It is too early for this
    /// @param time Now: a time, or a block where lots are drawn
    /// @param from The first second, or block
    error TooEarly(uint64 time, uint64 from);

    /// @notice Challenges are still open
    /// @param id The claim
    /// @param open How many
    error StillChallenged(bytes32 id, uint32 open);

    /// @notice Lots must be drawn over the claim first
    /// @param id The claim
    error AuditDue(bytes32 id);

    /// @notice Lots are not drawn over this claim, or were already
    /// @param id The claim
    error NoAuditDue(bytes32 id);

    /// @notice There is no such layer, block, element or tile
    /// @param index The one given
    /// @param count How many there are
    error OutOfRange(uint256 index, uint256 count);

    /// @notice The layer has no weights
    /// @param layer The layer
    error NoWeights(uint256 layer);

    /// @notice The element's accumulator has this many tiles, so that this is not the move for it
    /// @param tiles How many
    error WrongTiles(uint256 tiles);

    /// @notice The claimant was right
    /// @param value What was said and is so
    error NoFault(int256 value);

    /// @notice The sums of the tiles do not make the element
    /// @param element The element
    /// @param sums What the sums make
    error SumsDisagree(int256 element, int256 sums);

    /// @notice The proof does not hold
    /// @param id The claim
    error ProofRefused(bytes32 id);

    /// @notice Nothing is credited to this account
    /// @param account The account
    error NothingCredited(address account);

    /// @notice The receiver refused the coins
    /// @param to The receiver
    error PaymentRefused(address to);

    /// @notice Claims an output of a model with public weights; the value sent is the bond
    /// @param model The model
    /// @param context What the claim is made for
    /// @param terms What it is staked on
    /// @param roots Root of each node, the input first; input and output are checked against theirs
    /// @param input The input's bytes, or nothing: then challengers may ask for them
    /// @param output The output's bytes
    /// @return id The claim's id
    function claimOpen(
        bytes32 model,
        bytes32 context,
        Terms calldata terms,
        bytes32[] calldata roots,
        bytes calldata input,
        bytes calldata output
    ) external payable returns (bytes32 id);

    /// @notice Claims an output of a model with hidden weights; the value sent is the bond
    /// @param lane `Sealed` or `Private`
    /// @param model The verifier's model
    /// @param context What the claim is made for; a proof must be bound to it
    /// @param terms What it is staked on
    /// @param input Root of the input's tree; in the private lane keccak256 of the input's commitment
    /// @param output The output's bytes
    /// @return id The claim's id
    function claimSealed(
        Lane lane,
        bytes32 model,
        bytes32 context,
        Terms calldata terms,
        bytes32 input,
        bytes calldata output
    ) external payable returns (bytes32 id);

    /// @notice Challenges a sealed or private claim: it must be proven now (anyone may call); the value sent is the bond
    /// @param claim The claim
    function challengeSealed(Claim calldata claim) external payable;

    /// @notice Draws lots over a sealed or private claim, from the hash of a later block (anyone may call). A claim over which
    /// nobody drew while that hash was known is audited
    /// @param claim The claim
    function draw(Claim calldata claim) external;

    /// @notice Proves a sealed or private claim, which accepts it at once (anyone may call)
    /// @param claim The claim
    /// @param input The input's bytes; nothing in the private lane
    /// @param output The output's bytes
    /// @param proof The proof, bound to the claim's context
    function prove(Claim calldata claim, bytes calldata input, bytes calldata output, bytes calldata proof) external;

    /// @notice Challenges an open claim by naming the first layer whose output is wrong (anyone may call); the value sent is
    /// the bond
    /// @param game The claim and what its hashes stand for
    /// @param layer The layer, counted from 0
    /// @return index Number of the challenge
    function challenge(Game calldata game, uint8 layer) external payable returns (uint256 index);

    /// @notice Challenges an open claim by asking for a block of weights or of the input, which must be published or the claim is
    /// lost; then the challenger names a layer (anyone may call); the value sent is the bond
    /// @param game The claim and what its hashes stand for
    /// @param layer The layer whose weights are asked for, 255 for the input
    /// @param part The block
    /// @return index Number of the challenge
    function demand(Game calldata game, uint8 layer, uint16 part) external payable returns (uint256 index);

    /// @notice Publishes the block that was asked for (anyone may call)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param data The block's bytes
    /// @param siblings Nodes from the block up, where it is not the whole
    function publish(Game calldata game, uint256 index, bytes calldata data, bytes32[] calldata siblings) external;

    /// @notice Names the first layer whose output is wrong, after a block was published (challenger)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param layer The layer, counted from 0
    function name(Game calldata game, uint256 index, uint8 layer) external;

    /// @notice Splits the named layer, which is longer than a block, into blocks (anyone may call)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param tops Node above each block
    function split(Game calldata game, uint256 index, bytes32[] calldata tops) external;

    /// @notice Picks a wrong block (challenger)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param part The block
    function pick(Game calldata game, uint256 index, uint16 part) external;

    /// @notice Reveals the layer's output, or the picked block of it (anyone may call)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param data The bytes
    /// @param siblings Nodes from the block up, where it is not the whole
    function reveal(Game calldata game, uint256 index, bytes calldata data, bytes32[] calldata siblings) external;

    /// @notice Shows that an element is wrong by recomputing it (anyone may call)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param element The element of the layer's output
    /// @param output The leaf it is in
    /// @param input The leaves of the layer's input it comes from, those of the left summand for an addition
    /// @param other The leaves of its row of weights; of the right summand for an addition; otherwise nothing
    function step(
        Game calldata game,
        uint256 index,
        uint256 element,
        Opening calldata output,
        Opening calldata input,
        Opening calldata other
    ) external;

    /// @notice Points at a wrong element whose accumulator has several tiles (challenger)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param element The element of the layer's output
    function point(Game calldata game, uint256 index, uint256 element) external;

    /// @notice Says what each tile of the accumulator sums to (claimant)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param element The element the challenger pointed at
    /// @param sums The sums; with the bias they make the element
    /// @param output The leaf the element is in
    /// @param bias The leaves that hold the digits of its bias; nothing where there is none
    function sum(
        Game calldata game,
        uint256 index,
        uint256 element,
        int32[] calldata sums,
        Opening calldata output,
        Opening calldata bias
    ) external;

    /// @notice Shows that the sum of one tile is wrong by recomputing it (anyone may call)
    /// @param game The claim and what its hashes stand for
    /// @param index The challenge
    /// @param element The element the challenger pointed at
    /// @param sums The claimant's sums
    /// @param tile The tile
    /// @param input The leaves of the layer's input it comes from
    /// @param weights The leaves of its part of the row of weights; nothing for a pool
    function stepTile(
        Game calldata game,
        uint256 index,
        uint256 element,
        int32[] calldata sums,
        uint256 tile,
        Opening calldata input,
        Opening calldata weights
    ) external;

    /// @notice Ends a challenge whose deadline has passed against the party that was silent; returns its bond where another
    /// challenge ended the claim (anyone may call)
    /// @param claim The claim
    /// @param index The challenge
    function settle(Claim calldata claim, uint256 index) external;

    /// @notice Accepts a claim whose window has passed and that nobody challenges (anyone may call)
    /// @param claim The claim
    function finalise(Claim calldata claim) external;

    /// @notice Pays the caller's credit
    /// @param to Where to
    function withdraw(address payable to) external;

    /// @notice Id of a claim
    function idOf(Claim calldata claim) external pure returns (bytes32);

    /// @notice Root of the tree over some bytes, at most 16,384 of them: what a claim names as its input
    function rootOf(bytes calldata data) external pure returns (bytes32);

    /// @notice Last second at which a claim with these times can still be open, if everybody settles what is due
    function latestEnd(Claim calldata claim) external pure returns (uint64);

    /// @notice Where a claim stands
    function statusOf(bytes32 id) external view returns (Status);

    /// @notice How many challenges a claim had, and how many are open
    function challengesOf(bytes32 id) external view returns (uint32 count, uint32 open);

    /// @notice A challenge of a claim
    function challengeOf(bytes32 id, uint256 index) external view returns (Challenge memory);

    /// @notice Wei that an account may withdraw
    function creditOf(address account) external view returns (uint256);

    /// @notice Wei burnt so far
    function burnt() external view returns (uint256);
}
