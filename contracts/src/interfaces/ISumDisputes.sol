// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity ^0.8.28;

/// @title Disputes of the sums of masked rounds
/// @notice From what survivors published, anyone opens the seeds of the masks that are left in a group's sum, once each, and then
/// shows a wrong sum by one block of 16 words. An honest sum cannot be refuted: a seed is opened only from shares behind the
/// roots that members recorded, and only the one whose point was dealt. `docs/spec/masked-rounds.md` holds the rules.
interface ISumDisputes {
    /// @notice What a member of a group recorded
    /// @param key X25519 key it announced
    /// @param digestsRoot Root over its digests, 0 if it did not deal
    /// @param uploadRoot Root of its masked vector, 0 if it recorded none
    struct Seat {
        bytes32 key;
        bytes32 digestsRoot;
        bytes32 uploadRoot;
    }

    /// @notice A group as it was when its sum was posted; the contract keeps a hash
    /// @param study The study
    /// @param round The round
    /// @param index The group's number in the round, counted from 0
    /// @param commitBy Last second for commitments of the opening
    /// @param context What every message of the group was bound to
    /// @param survivors Bit i: place i survived
    /// @param sum Root of the posted sum
    /// @param seats What each place recorded
    /// @param groups Hash of every group of the round, in order
    struct Group {
        uint64 study;
        uint32 round;
        uint8 index;
        uint64 commitBy;
        bytes32 context;
        uint32 survivors;
        bytes32 sum;
        Seat[] seats;
        bytes32[] groups;
    }

    /// @notice An opened share
    /// @param place Whose share it is
    /// @param share The share, 32 little-endian bytes below the order
    /// @param others The digests of its other two shares, in the order key, seed, blind
    /// @param path To the leaf of `place` among the dealer's digests
    struct Share {
        uint8 place;
        bytes32 share;
        bytes32[2] others;
        bytes32[] path;
    }

    /// @notice A secret to be put together
    /// @param place Who dealt it
    /// @param points The dealer's three points: of the key, the seed and the blind
    /// @param path To the leaf of the dealer's own place, which holds the points
    /// @param shares As many as the threshold, in ascending order of places
    struct Secret {
        uint8 place;
        bytes32[3] points;
        bytes32[] path;
        Share[] shares;
    }

    /// @notice Sixteen little-endian words of a vector
    /// @param words The words; zeros fill up a vector's last block
    /// @param path To the root of the vector
    struct Block {
        bytes32[2] words;
        bytes32[] path;
    }

    /// @notice How far a demand for a block got
    enum DemandState {
        None,
        Open,
        Answered,
        Settled
    }

    /// @notice A demand to show a block of a posted sum
    /// @param challenger Who demands it
    /// @param answerBy Last second to show it
    /// @param state How far it got
    /// @param deposit What the challenger put down
    struct Demand {
        address challenger;
        uint64 answerBy;
        DemandState state;
        uint128 deposit;
    }

    /// @notice Emitted when a block of a posted sum is demanded
    /// @param study The study
    /// @param round The round
    /// @param group The group
    /// @param number The block, counted from 0
    /// @param challenger Who demands it
    /// @param answerBy Last second to show it
    /// @param deposit What the challenger put down
    event BlockDemanded(
        uint64 indexed study,
        uint32 indexed round,
        uint8 indexed group,
        uint32 number,
        address challenger,
        uint64 answerBy,
        uint128 deposit
    );

    /// @notice Emitted when a demanded block is shown. The hashes of its path are of all the other blocks: whoever knows the right sum sees
    /// which of them to demand next.
    /// @param study The study
    /// @param round The round
    /// @param group The group
    /// @param number The block
    /// @param words Its words
    /// @param path To the posted root
    event BlockShown(
        uint64 indexed study,
        uint32 indexed round,
        uint8 indexed group,
        uint32 number,
        bytes32[2] words,
        bytes32[] path
    );

    /// @notice Emitted when the seed of a mask is shown
    /// @param context The group
    /// @param low Lower place of the pair
    /// @param high Higher place; the same for a self-mask
    /// @param seed Seed of the mask
    event SeedOpened(bytes32 indexed context, uint8 low, uint8 high, bytes32 seed);

    /// @notice The group is not one that was recorded
    /// @param study The study
    /// @param round The round
    /// @param group The group
    error UnknownGroup(uint64 study, uint32 round, uint8 group);

    /// @notice The place is none, or is not counted as this proof needs it
    /// @param place The place
    error WrongPlace(uint256 place);

    /// @notice Another number of shares than the threshold
    /// @param given How many
    /// @param threshold How many it takes
    error WrongShareCount(uint256 given, uint256 threshold);

    /// @notice A share, or the dealer's points, are not those behind its root
    /// @param place Whose
    error NotDealt(uint256 place);

    /// @notice The shares fit their digests and give another secret than the one whose point was dealt
    /// @param place The dealer
    error WrongSecret(uint256 place);

    /// @notice The seed of a mask has not been opened
    /// @param low Lower place of the pair
    /// @param high Higher place
    error SeedMissing(uint8 low, uint8 high);

    /// @notice A block is not the one behind its root
    /// @param place Whose vector, 255 for the posted sum
    error NotInVector(uint256 place);

    /// @notice The posted sum is right in this block
    /// @param number The block
    error SumHolds(uint32 number);

    /// @notice The vector has no such block
    /// @param number The block given
    /// @param count How many there are
    error NoSuchBlock(uint32 number, uint256 count);

    /// @notice The demand is not in the state this needs
    /// @param state Where it is
    error WrongDemand(DemandState state);

    /// @notice The time for this has not come, or has passed
    /// @param answerBy Last second to show the block
    error WrongTime(uint64 answerBy);

    /// @notice The sum was refuted already
    /// @param study The study
    /// @param round The round
    /// @param group The group
    error AlreadyRefuted(uint64 study, uint32 round, uint8 group);

    /// @notice Shows the seed of a survivor's self-mask
    /// @param group The group
    /// @param secret What the survivor dealt as its seed
    function openSeed(Group calldata group, Secret calldata secret) external;

    /// @notice Shows the seeds of the masks between a member that dealt and did not survive, and survivors
    /// @param group The group
    /// @param secret What the member dealt as its key
    /// @param survivors Places of survivors
    function openPairs(Group calldata group, Secret calldata secret, uint8[] calldata survivors) external;

    /// @notice Shows that a block of a posted sum is wrong, from the survivors' blocks and opened seeds
    /// @param group The group
    /// @param number The block, counted from 0
    /// @param posted That block of the posted sum
    /// @param masked That block of each survivor's vector, in order of places
    function disputeSum(Group calldata group, uint32 number, Block calldata posted, Block[] calldata masked) external;

    /// @notice Demands that a block of a posted sum be shown within `disputeSeconds`. Takes a deposit, so that an honest coordinator is paid
    /// for its answers.
    /// @param group The group
    /// @param number The block, counted from 0
    function demand(Group calldata group, uint32 number) external;

    /// @notice Shows a demanded block; anyone may. The deposit goes to who posted the bond
    /// @param group The group
    /// @param number The block
    /// @param part The block
    function answer(Group calldata group, uint32 number, Block calldata part) external;

    /// @notice Ends a demand that was not answered in time: the sum is refuted, and the deposit goes back
    /// @param study The study
    /// @param round The round
    /// @param group The group
    /// @param number The block
    function settle(uint64 study, uint32 round, uint8 group, uint32 number) external;

    /// @notice A demand for a block
    function demandOf(uint64 study, uint32 round, uint8 group, uint32 number) external view returns (Demand memory);

    /// @notice How many demands of a study wait for an answer; the bond stays while there are any
    function openDemands(uint64 study) external view returns (uint256);

    /// @notice What a demand takes: a hundredth of the bond, rounded up
    function depositOf(uint64 study) external view returns (uint128);

    /// @notice Seed of a mask that was opened, 0 otherwise; a self-mask has one place twice
    function seedOf(bytes32 context, uint8 low, uint8 high) external view returns (bytes32);

    /// @notice Hash of a group, as `recordOf` covers it
    function hashOf(Group calldata group) external pure returns (bytes32);
}
