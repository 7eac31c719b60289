// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";

import {IInferenceDispute} from "./interfaces/IInferenceDispute.sol";
import {IInferenceVerifier} from "./interfaces/IInferenceVerifier.sol";
import {IOpenModels} from "./interfaces/IOpenModels.sol";
import {Architecture} from "./libraries/Architecture.sol";
import {ByteTree} from "./libraries/ByteTree.sol";
import {Neuron} from "./libraries/Neuron.sol";

/// @title InferenceDispute
/// @notice See {IInferenceDispute}. Not upgradeable, without an owner. It trusts the registry of
/// open models to have checked architectures, the verifier for proofs, and nobody for bonds.
contract InferenceDispute is IInferenceDispute, ReentrancyGuardTransient {
    using Architecture for bytes;
    using Architecture for Architecture.Layer;
    using Architecture for Architecture.Shape;

    uint256 private constant WHOLE_PPM = 1_000_000;
    uint256 private constant LEAST_BURNT_PPM = 250_000;
    uint256 private constant MOST_BURNT_PPM = 500_000;
    // Bounds how long anybody's bond can wait.
    uint256 private constant LONGEST_CLOCK = 30 days;
    // Deadlines on the longest path: publish, name, split, pick, reveal, point, sum, tile.
    uint256 private constant MOST_MOVES = 8;
    // Lots come from the hash of a block that did not exist when the claim was made.
    uint256 private constant DRAW_BLOCKS = 2;
    uint8 private constant INPUT = 255;
    bytes32 private constant CLAIM_DOMAIN = keccak256("counterweight/inference/claim/v1");

    /// @dev One slot for a claim.
    struct ClaimState {
        Status status;
        bool drawn;
        uint32 count;
        uint32 open;
    }

    /// @notice The models of the open lane
    IOpenModels public immutable models;
    /// @notice Who verifies proofs of sealed claims
    IInferenceVerifier public immutable verifier;

    /// @inheritdoc IInferenceDispute
    uint256 public burnt;

    mapping(bytes32 id => ClaimState) private _claims;
    mapping(bytes32 id => mapping(uint256 index => Challenge)) private _challenges;
    // The element that was pointed at; after its sums were given, the hash of both.
    mapping(bytes32 id => mapping(uint256 index => bytes32)) private _pointed;
    mapping(address account => uint256) private _credit;

    constructor(IOpenModels openModels, IInferenceVerifier inferenceVerifier) {
        models = openModels;
        verifier = inferenceVerifier;
    }

    // Claims

    /// @inheritdoc IInferenceDispute
    function claimOpen(
        bytes32 model,
        bytes32 context,
        Terms calldata terms,
        bytes32[] calldata roots,
        bytes calldata input,
        bytes calldata output
    ) external payable nonReentrant returns (bytes32 id) {
        if (terms.auditPpm != 0) revert InvalidTerms("auditPpm");
        IOpenModels.Model memory known = models.modelOf(model);
        if (known.layers == 0) revert UnknownModel(model);
        if (known.outputBytes > ByteTree.BLOCK) revert OutputTooLong(known.outputBytes, ByteTree.BLOCK);
        if (roots.length != uint256(known.layers) + 1) revert WrongLength(uint256(known.layers) + 1, roots.length);
        if (input.length != 0) {
            if (input.length != known.inputBytes) revert WrongLength(known.inputBytes, input.length);
            if (rootOf(input) != roots[0]) revert RootMismatch(roots[0]);
        }
        if (output.length != known.outputBytes) revert WrongLength(known.outputBytes, output.length);
        if (rootOf(output) != roots[known.layers]) revert RootMismatch(roots[known.layers]);
        Claim memory claim = _newClaim(Lane.Open, model, context, terms, roots[0], keccak256(output));
        claim.trace = keccak256(abi.encodePacked(roots));
        id = _make(claim);
        emit ClaimMade(id, model, msg.sender, claim, roots, input, output);
    }

    /// @inheritdoc IInferenceDispute
    function claimSealed(
        Lane lane,
        bytes32 model,
        bytes32 context,
        Terms calldata terms,
        bytes32 input,
        bytes calldata output
    ) external payable nonReentrant returns (bytes32 id) {
        if (lane == Lane.Open) revert WrongLane(lane);
        if (!verifier.isRegistered(model)) revert UnknownModel(model);
        Claim memory claim = _newClaim(lane, model, context, terms, input, keccak256(output));
        id = _make(claim);
        emit ClaimMade(id, model, msg.sender, claim, new bytes32[](0), "", output);
    }

    /// @inheritdoc IInferenceDispute
    function finalise(Claim calldata claim) external {
        (bytes32 id, ClaimState storage state) = _pending(claim);
        uint64 end = claim.madeAt + claim.terms.window;
        if (block.timestamp <= end) revert TooEarly(uint64(block.timestamp), end + 1);
        if (state.open != 0) revert StillChallenged(id, state.open);
        if (claim.terms.auditPpm != 0 && !state.drawn && state.count == 0) revert AuditDue(id);
        _accept(claim, id, state);
    }

    // Sealed claims

    /// @inheritdoc IInferenceDispute
    function challengeSealed(Claim calldata claim) external payable nonReentrant {
        (bytes32 id, ClaimState storage state) = _pending(claim);
        if (claim.lane == Lane.Open) revert WrongLane(claim.lane);
        if (state.count != 0) revert AlreadyChallenged(id);
        _challenge(claim, id, state, Phase.Prove, 0, 0);
    }

    /// @inheritdoc IInferenceDispute
    function draw(Claim calldata claim) external {
        (bytes32 id, ClaimState storage state) = _pending(claim);
        // A claim that must be proven anyway needs no lots.
        if (claim.terms.auditPpm == 0 || state.drawn || state.count != 0) revert NoAuditDue(id);
        uint256 drawn = claim.madeIn + DRAW_BLOCKS;
        if (block.number <= drawn) revert TooEarly(uint64(block.number), uint64(drawn + 1));
        // Zero once the block is too old. Were that drawn again, a claimant could wait until the lots suit him.
        bytes32 seed = blockhash(drawn);
        bool audited =
            seed == 0 || uint256(keccak256(abi.encode(seed, id))) % WHOLE_PPM < claim.terms.auditPpm;
        state.drawn = true;
        emit AuditDrawn(id, audited);
        if (audited) _open(claim, id, state, address(0), Phase.Prove, 0, 0);
    }

    /// @inheritdoc IInferenceDispute
    function prove(Claim calldata claim, bytes calldata input, bytes calldata output, bytes calldata proof)
        external
        nonReentrant
    {
        (bytes32 id, ClaimState storage state) = _pending(claim);
        if (claim.lane == Lane.Open) revert WrongLane(claim.lane);
        Challenge storage current = _challenges[id][0];
        if (state.open != 0) _inTime(current);
        bytes32 hash = keccak256(output);
        if (hash != claim.output) revert HashMismatch(claim.output, hash);
        bool holds;
        if (claim.lane == Lane.Private) {
            holds = verifier.verifyCommitted(claim.model, claim.context, claim.input, output, proof);
        } else {
            bytes32 root = ByteTree.rootOf(input);
            if (root != claim.input) revert HashMismatch(claim.input, root);
            holds = verifier.verify(claim.model, claim.context, input, output, proof);
        }
        if (!holds) revert ProofRefused(id);
        emit ClaimProven(id);
        if (state.open != 0) _claimantWins(claim, id, 0, state, current);
        _accept(claim, id, state);
    }

    // Open claims

    /// @inheritdoc IInferenceDispute
    function challenge(Game calldata game, uint8 layer) external payable nonReentrant returns (uint256 index) {
        (bytes32 id, ClaimState storage state) = _playable(game);
        return _challenge(game.claim, id, state, _firstPhase(game, layer), layer, 0);
    }

    /// @inheritdoc IInferenceDispute
    function demand(Game calldata game, uint8 layer, uint16 part)
        external
        payable
        nonReentrant
        returns (uint256 index)
    {
        (bytes32 id, ClaimState storage state) = _playable(game);
        (, uint256 length) = _source(game, layer);
        uint256 blocks = ByteTree.blocks(length);
        if (part >= blocks) revert OutOfRange(part, blocks);
        return _challenge(game.claim, id, state, Phase.Publish, layer, part);
    }

    /// @inheritdoc IInferenceDispute
    function publish(Game calldata game, uint256 index, bytes calldata data, bytes32[] calldata siblings) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Publish);
        (bytes32 root, uint256 length) = _source(game, current.layer);
        if (!ByteTree.includesBlock(root, length, current.part, data, siblings)) revert RootMismatch(root);
        emit BytesShown(id, index, data);
        _next(game.claim, id, index, current, Phase.Name);
    }

    /// @inheritdoc IInferenceDispute
    function name(Game calldata game, uint256 index, uint8 layer) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Name);
        _only(current.challenger);
        Phase phase = _firstPhase(game, layer);
        current.layer = layer;
        current.part = 0;
        _next(game.claim, id, index, current, phase);
    }

    /// @inheritdoc IInferenceDispute
    function split(Game calldata game, uint256 index, bytes32[] calldata tops) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Split);
        uint256 node = uint256(current.layer) + 1;
        uint256 length = game.architecture.bytesOf(node);
        uint256 blocks = ByteTree.blocks(length);
        if (tops.length != blocks) revert WrongLength(blocks, tops.length);
        if (ByteTree.rootOfBlocks(length, tops) != game.roots[node]) revert RootMismatch(game.roots[node]);
        emit LayerSplit(id, index, tops);
        _next(game.claim, id, index, current, Phase.Pick);
    }

    /// @inheritdoc IInferenceDispute
    function pick(Game calldata game, uint256 index, uint16 part) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Pick);
        _only(current.challenger);
        uint256 blocks = ByteTree.blocks(game.architecture.bytesOf(uint256(current.layer) + 1));
        if (part >= blocks) revert OutOfRange(part, blocks);
        current.part = part;
        _next(game.claim, id, index, current, Phase.Reveal);
    }

    /// @inheritdoc IInferenceDispute
    function reveal(Game calldata game, uint256 index, bytes calldata data, bytes32[] calldata siblings) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Reveal);
        uint256 node = uint256(current.layer) + 1;
        uint256 length = game.architecture.bytesOf(node);
        if (!ByteTree.includesBlock(game.roots[node], length, current.part, data, siblings)) {
            revert RootMismatch(game.roots[node]);
        }
        emit BytesShown(id, index, data);
        _next(game.claim, id, index, current, Phase.Point);
    }

    /// @inheritdoc IInferenceDispute
    function step(
        Game calldata game,
        uint256 index,
        uint256 element,
        Opening calldata output,
        Opening calldata input,
        Opening calldata other
    ) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Point);
        Architecture.Layer memory layer = game.architecture.layer(current.layer);
        uint256 tiles = Neuron.tiles(layer);
        if (tiles != 1) revert WrongTiles(tiles);
        int256 said = _said(game, current.layer, layer, element, output);
        bytes32 otherRoot =
            layer.kind == Architecture.ADD ? game.roots[layer.right] : game.weightRoots[current.layer];
        int256 value = Neuron.recompute(layer, element, game.roots[layer.left], otherRoot, input, other);
        _challengerWins(game.claim, id, index, said, value);
    }

    /// @inheritdoc IInferenceDispute
    function point(Game calldata game, uint256 index, uint256 element) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Point);
        _only(current.challenger);
        Architecture.Layer memory layer = game.architecture.layer(current.layer);
        if (Neuron.tiles(layer) == 1) revert WrongTiles(1);
        _inRange(element, layer.output.elements());
        _pointed[id][index] = bytes32(element);
        emit ElementPointed(id, index, element);
        _next(game.claim, id, index, current, Phase.Sum);
    }

    /// @inheritdoc IInferenceDispute
    function sum(
        Game calldata game,
        uint256 index,
        uint256 element,
        int32[] calldata sums,
        Opening calldata output,
        Opening calldata bias
    ) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Sum);
        // Only these can be wrong although they fit what is committed.
        _only(game.claim.claimant);
        if (_pointed[id][index] != bytes32(element)) revert HashMismatch(_pointed[id][index], bytes32(element));
        _checkSums(game, current.layer, element, sums, output, bias);
        _pointed[id][index] = keccak256(abi.encodePacked(element, sums));
        emit SumsGiven(id, index, sums);
        _next(game.claim, id, index, current, Phase.Tile);
    }

    /// @inheritdoc IInferenceDispute
    function stepTile(
        Game calldata game,
        uint256 index,
        uint256 element,
        int32[] calldata sums,
        uint256 tile,
        Opening calldata input,
        Opening calldata weights
    ) external {
        (bytes32 id, Challenge storage current) = _due(game, index, Phase.Tile);
        {
            bytes32 hash = keccak256(abi.encodePacked(element, sums));
            if (_pointed[id][index] != hash) revert HashMismatch(_pointed[id][index], hash);
        }
        _inRange(tile, sums.length);
        int256 value = _tileSum(game, current.layer, element, tile, input, weights);
        _challengerWins(game.claim, id, index, sums[tile], value);
    }

    // Ends

    /// @inheritdoc IInferenceDispute
    function settle(Claim calldata claim, uint256 index) external {
        bytes32 id = idOf(claim);
        ClaimState storage state = _claims[id];
        Challenge storage current = _challenges[id][index];
        Phase phase = current.phase;
        if (phase == Phase.None || phase >= Phase.ChallengerWon) revert WrongPhase(id, index, phase);
        if (state.status != Status.Pending) {
            // Another challenge ended the claim: this one was open, so it was neither won nor lost.
            current.phase = Phase.Returned;
            --state.open;
            _credit[current.challenger] += claim.terms.challengeBond;
            emit ChallengeEnded(id, index, Phase.Returned, claim.terms.challengeBond, 0);
            return;
        }
        if (block.timestamp <= current.deadline) {
            revert TooEarly(uint64(block.timestamp), current.deadline + 1);
        }
        bool claimantWasSilent = phase == Phase.Prove || phase == Phase.Publish || phase == Phase.Split
            || phase == Phase.Reveal || phase == Phase.Sum;
        if (claimantWasSilent) _reject(claim, id, index, state, current);
        else _claimantWins(claim, id, index, state, current);
    }

    /// @inheritdoc IInferenceDispute
    function withdraw(address payable to) external nonReentrant {
        uint256 amount = _credit[msg.sender];
        if (amount == 0) revert NothingCredited(msg.sender);
        _credit[msg.sender] = 0;
        emit Withdrawn(msg.sender, to, amount);
        (bool accepted,) = to.call{value: amount}("");
        if (!accepted) revert PaymentRefused(to);
    }

    // Views

    /// @inheritdoc IInferenceDispute
    function idOf(Claim calldata claim) public pure returns (bytes32) {
        return keccak256(abi.encode(CLAIM_DOMAIN, claim));
    }

    /// @inheritdoc IInferenceDispute
    function rootOf(bytes calldata data) public pure returns (bytes32) {
        if (data.length == 0 || data.length > ByteTree.BLOCK) revert WrongLength(ByteTree.BLOCK, data.length);
        return ByteTree.rootOf(data);
    }

    /// @inheritdoc IInferenceDispute
    function latestEnd(Claim calldata claim) external pure returns (uint64) {
        return uint64(claim.madeAt + claim.terms.window + MOST_MOVES * claim.terms.response);
    }

    /// @inheritdoc IInferenceDispute
    function statusOf(bytes32 id) external view returns (Status) {
        return _claims[id].status;
    }

    /// @inheritdoc IInferenceDispute
    function challengesOf(bytes32 id) external view returns (uint32 count, uint32 open) {
        return (_claims[id].count, _claims[id].open);
    }

    /// @inheritdoc IInferenceDispute
    function challengeOf(bytes32 id, uint256 index) external view returns (Challenge memory) {
        return _challenges[id][index];
    }

    /// @inheritdoc IInferenceDispute
    function creditOf(address account) external view returns (uint256) {
        return _credit[account];
    }

    // Making claims and challenges

    function _newClaim(
        Lane lane,
        bytes32 model,
        bytes32 context,
        Terms calldata terms,
        bytes32 input,
        bytes32 output
    ) private view returns (Claim memory claim) {
        _checkTerms(terms);
        claim.model = model;
        claim.context = context;
        claim.input = input;
        claim.output = output;
        claim.claimant = msg.sender;
        claim.madeAt = uint64(block.timestamp);
        claim.madeIn = uint64(block.number);
        claim.lane = lane;
        claim.terms = terms;
    }

    function _checkTerms(Terms calldata terms) private pure {
        if (terms.window == 0 || terms.window > LONGEST_CLOCK) revert InvalidTerms("window");
        if (terms.response == 0 || terms.response > LONGEST_CLOCK) revert InvalidTerms("response");
        if (terms.burntPpm < LEAST_BURNT_PPM || terms.burntPpm > MOST_BURNT_PPM) revert InvalidTerms("burntPpm");
        if (terms.auditPpm > WHOLE_PPM) revert InvalidTerms("auditPpm");
        if (terms.claimBond == 0) revert InvalidTerms("claimBond");
        if (terms.challengeBond == 0) revert InvalidTerms("challengeBond");
    }

    function _make(Claim memory claim) private returns (bytes32 id) {
        if (msg.value != claim.terms.claimBond) revert WrongBond(claim.terms.claimBond, msg.value);
        id = keccak256(abi.encode(CLAIM_DOMAIN, claim));
        if (_claims[id].status != Status.None) revert AlreadyClaimed(id);
        _claims[id].status = Status.Pending;
    }

    function _challenge(
        Claim calldata claim,
        bytes32 id,
        ClaimState storage state,
        Phase phase,
        uint8 layer,
        uint16 part
    ) private returns (uint256) {
        uint64 end = claim.madeAt + claim.terms.window;
        if (block.timestamp > end) revert TooLate(uint64(block.timestamp), end);
        if (msg.value != claim.terms.challengeBond) revert WrongBond(claim.terms.challengeBond, msg.value);
        return _open(claim, id, state, msg.sender, phase, layer, part);
    }

    function _open(
        Claim calldata claim,
        bytes32 id,
        ClaimState storage state,
        address challenger,
        Phase phase,
        uint8 layer,
        uint16 part
    ) private returns (uint256 index) {
        index = state.count;
        ++state.count;
        ++state.open;
        Challenge storage current = _challenges[id][index];
        current.challenger = challenger;
        current.layer = layer;
        current.part = part;
        emit ChallengeOpened(id, index, challenger);
        _next(claim, id, index, current, phase);
    }

    // Playing

    function _pending(Claim calldata claim) private view returns (bytes32 id, ClaimState storage state) {
        id = idOf(claim);
        state = _claims[id];
        if (state.status != Status.Pending) revert NotPending(id, state.status);
    }

    /// @dev A pending open claim, and that everything given with it is what its hashes stand for. The model was registered,
    /// so its architecture was checked and the number of its roots is right.
    function _playable(Game calldata game) private view returns (bytes32 id, ClaimState storage state) {
        (id, state) = _pending(game.claim);
        if (game.claim.lane != Lane.Open) revert WrongLane(game.claim.lane);
        bytes32 model = Architecture.modelId(game.architecture, game.weightRoots);
        if (model != game.claim.model) revert HashMismatch(game.claim.model, model);
        bytes32 trace = keccak256(abi.encodePacked(game.roots));
        if (trace != game.claim.trace) revert HashMismatch(game.claim.trace, trace);
    }

    /// @dev A challenge in which this move is due.
    function _due(Game calldata game, uint256 index, Phase phase)
        private
        view
        returns (bytes32 id, Challenge storage current)
    {
        (id,) = _playable(game);
        current = _challenges[id][index];
        if (current.phase != phase) revert WrongPhase(id, index, current.phase);
        _inTime(current);
    }

    function _inTime(Challenge storage current) private view {
        if (block.timestamp > current.deadline) revert TooLate(uint64(block.timestamp), current.deadline);
    }

    function _only(address account) private view {
        if (msg.sender != account) revert NotYourMove(account, msg.sender);
    }

    function _inRange(uint256 index, uint256 count) private pure {
        if (index >= count) revert OutOfRange(index, count);
    }

    function _firstPhase(Game calldata game, uint8 layer) private pure returns (Phase) {
        _inRange(layer, game.architecture.layers());
        return game.architecture.bytesOf(uint256(layer) + 1) > ByteTree.BLOCK ? Phase.Split : Phase.Reveal;
    }

    /// @dev What a challenger may ask for: the input, or the weights of a layer.
    function _source(Game calldata game, uint8 layer) private pure returns (bytes32 root, uint256 length) {
        if (layer == INPUT) return (game.roots[0], game.architecture.bytesOf(0));
        _inRange(layer, game.architecture.layers());
        root = game.weightRoots[layer];
        length = game.architecture.layer(layer).weightBytes();
        if (length == 0) revert NoWeights(layer);
    }

    /// @dev The element as the claimant committed to it.
    function _said(
        Game calldata game,
        uint256 layerIndex,
        Architecture.Layer memory layer,
        uint256 element,
        Opening calldata output
    ) private pure returns (int256) {
        _inRange(element, layer.output.elements());
        return Neuron.elementOf(
            game.roots[layerIndex + 1], game.architecture.bytesOf(layerIndex + 1), layer.raw, element, output
        );
    }

    /// @dev The sums are as many as the accumulator has tiles, and make the element.
    function _checkSums(
        Game calldata game,
        uint256 layerIndex,
        uint256 element,
        int32[] calldata sums,
        Opening calldata output,
        Opening calldata bias
    ) private pure {
        Architecture.Layer memory layer = game.architecture.layer(layerIndex);
        uint256 tiles = Neuron.tiles(layer);
        if (sums.length != tiles) revert WrongLength(tiles, sums.length);
        int256 value = Neuron.biasOf(layer, element, game.weightRoots[layerIndex], bias);
        {
            int256 total = 0;
            for (uint256 i = 0; i < tiles; ++i) {
                total += sums[i];
            }
            value = Neuron.finish(layer, total, value);
        }
        int256 said = _said(game, layerIndex, layer, element, output);
        if (value != said) revert SumsDisagree(said, value);
    }

    function _tileSum(
        Game calldata game,
        uint256 layerIndex,
        uint256 element,
        uint256 tile,
        Opening calldata input,
        Opening calldata weights
    ) private pure returns (int256) {
        Architecture.Layer memory layer = game.architecture.layer(layerIndex);
        bytes32 weightRoot = game.weightRoots[layerIndex];
        return Neuron.partialSum(layer, element, tile, game.roots[layer.left], weightRoot, input, weights);
    }

    function _next(Claim calldata claim, bytes32 id, uint256 index, Challenge storage current, Phase phase)
        private
    {
        uint64 deadline = uint64(block.timestamp) + claim.terms.response;
        current.phase = phase;
        current.deadline = deadline;
        emit MoveDue(id, index, phase, deadline, current.layer, current.part);
    }

    // Ending

    function _challengerWins(Claim calldata claim, bytes32 id, uint256 index, int256 said, int256 value) private {
        if (said == value) revert NoFault(value);
        emit FaultShown(id, index, said, value);
        _reject(claim, id, index, _claims[id], _challenges[id][index]);
    }

    /// @dev Burnt parts round up, in nobody's favour.
    function _burntOf(Claim calldata claim, uint256 bond) private pure returns (uint256) {
        return (bond * claim.terms.burntPpm + WHOLE_PPM - 1) / WHOLE_PPM;
    }

    function _reject(
        Claim calldata claim,
        bytes32 id,
        uint256 index,
        ClaimState storage state,
        Challenge storage current
    ) private {
        uint256 lost = claim.terms.claimBond;
        uint256 credited = 0;
        uint256 toBurn = lost;
        // An audit has no challenger to reward: anyone who settles might be the claimant.
        if (current.challenger != address(0)) {
            toBurn = _burntOf(claim, lost);
            credited = lost - toBurn + claim.terms.challengeBond;
            _credit[current.challenger] += credited;
        }
        burnt += toBurn;
        current.phase = Phase.ChallengerWon;
        --state.open;
        state.status = Status.Rejected;
        emit ChallengeEnded(id, index, Phase.ChallengerWon, credited, toBurn);
        emit ClaimEnded(id, Status.Rejected);
    }

    function _claimantWins(
        Claim calldata claim,
        bytes32 id,
        uint256 index,
        ClaimState storage state,
        Challenge storage current
    ) private {
        uint256 credited = 0;
        uint256 toBurn = 0;
        if (current.challenger != address(0)) {
            toBurn = _burntOf(claim, claim.terms.challengeBond);
            credited = claim.terms.challengeBond - toBurn;
            _credit[claim.claimant] += credited;
            burnt += toBurn;
        }
        current.phase = Phase.ClaimantWon;
        --state.open;
        emit ChallengeEnded(id, index, Phase.ClaimantWon, credited, toBurn);
    }

    function _accept(Claim calldata claim, bytes32 id, ClaimState storage state) private {
        state.status = Status.Accepted;
        _credit[claim.claimant] += claim.terms.claimBond;
        emit ClaimEnded(id, Status.Accepted);
    }
}
