// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {IAssetRegistry} from "../src/interfaces/IAssetRegistry.sol";
import {ITrainingRounds} from "../src/interfaces/ITrainingRounds.sol";
import {System} from "./base/System.sol";

/// @dev What each hot call costs, with its transaction: `npm run gas` writes gas.json, `npm test` compares.
contract GasTest is System {
    string private constant FILE = "gas";

    address private immutable clinic = _clinic(0);

    function test_gas_register() public {
        uint8[4] memory counts = [0, 1, 4, 8];
        string[4] memory names = ["0 parents", "1 parent", "4 parents", "8 parents"];
        for (uint256 n = 0; n < 4; ++n) {
            IAssetRegistry.Registration memory registration = _registration(IAssetRegistry.Kind.Model, "model");
            registration.uri = "";
            registration.parents = new IAssetRegistry.Parent[](counts[n]);
            for (uint256 i = 0; i < counts[n]; ++i) {
                registration.parents[i] = IAssetRegistry.Parent({id: _dataset(i), sharePpm: 50_000});
            }
            vm.prank(clinic);
            assets.register(clinic, registration);
            vm.snapshotGasLastCall(FILE, string.concat("AssetRegistry.register, ", names[n]));
        }
    }

    function test_gas_transfer() public {
        uint64 dataset = _dataset(0);
        vm.prank(clinic);
        assets.transferFrom(clinic, stranger, dataset);
        vm.snapshotGasLastCall(FILE, "AssetRegistry.transferFrom");
    }

    function test_gas_consent() public {
        uint64 dataset = _dataset(0);
        vm.prank(clinic);
        consents.grant(dataset, PURPOSES, 0);
        vm.snapshotGasLastCall(FILE, "ConsentRegistry.grant, first");
        vm.prank(clinic);
        consents.revoke(dataset, PURPOSES);
        vm.snapshotGasLastCall(FILE, "ConsentRegistry.revoke");
        vm.prank(clinic);
        consents.grant(dataset, PURPOSES, 0);
        vm.snapshotGasLastCall(FILE, "ConsentRegistry.grant, again");
    }

    function test_gas_studyOfFour() public {
        ITrainingRounds.Terms memory terms = _terms();
        uint64 study = _open(terms);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.open");
        for (uint256 i = 0; i < 4; ++i) {
            _join(study, i, _consented(i));
        }
        vm.snapshotGasLastCall(FILE, "TrainingRounds.join");
        vm.prank(coordinator);
        rounds.start(study);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.start");
        string[3] memory names = ["first", "next", ""];
        for (uint32 round = 1; round <= 3; ++round) {
            bytes32 base = round == 1 ? bytes32("base") : _result(round - 1);
            vm.prank(coordinator);
            rounds.openRound(study, base);
            if (round < 3) vm.snapshotGasLastCall(FILE, string.concat("TrainingRounds.openRound, ", names[round - 1]));
            for (uint8 i = 0; i < 4; ++i) {
                vm.prank(_clinic(i));
                rounds.commitUpdate(study, round, i, keccak256(abi.encode(round, i)));
            }
            if (round < 3) {
                vm.snapshotGasLastCall(FILE, string.concat("TrainingRounds.commitUpdate, ", names[round - 1]));
            }
            vm.prank(coordinator);
            rounds.closeRound(study, round, 15, _result(round), 0);
            if (round < 3) {
                vm.snapshotGasLastCall(
                    FILE, string.concat("TrainingRounds.closeRound, 4 survivors, ", names[round - 1])
                );
            }
        }
        uint32[] memory contributions = new uint32[](4);
        for (uint256 i = 0; i < 4; ++i) {
            contributions[i] = 200_000;
        }
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
        vm.snapshotGasLastCall(FILE, "TrainingRounds.finish, 4 members");
        vm.prank(clinic);
        rounds.claim(study, 0);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.claim");
        vm.prank(sponsor);
        rounds.returnBudget(study);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.returnBudget");
        vm.prank(sponsor);
        rounds.publishModel(study, _result(3), "manifest", 0, 0, "");
        vm.snapshotGasLastCall(FILE, "TrainingRounds.publishModel, 4 contributors");
    }

    function test_gas_studyWithAPrivacyBudget() public {
        ITrainingRounds.Terms memory terms = _terms();
        terms.epsilonBudget = 2_000_000;
        uint64 study = _running(terms, 4);
        string[2] memory names = ["first", "next"];
        for (uint32 round = 1; round <= 2; ++round) {
            _openRound(study);
            for (uint256 i = 0; i < 4; ++i) {
                _commit(study, i);
            }
            _closeSpending(study, 15, round * 700_000);
            vm.snapshotGasLastCall(
                FILE, string.concat("TrainingRounds.closeRound, 4 survivors, privacy spent, ", names[round - 1])
            );
        }
    }

    function test_gas_studyOfSixtyFour() public {
        ITrainingRounds.Terms memory terms = _terms();
        (terms.maxMembers, terms.rounds) = (64, 2);
        uint64 study = _running(terms, 64);
        _round(study, type(uint64).max);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.closeRound, 64 survivors, first");
        _round(study, type(uint64).max);
        vm.snapshotGasLastCall(FILE, "TrainingRounds.closeRound, 64 survivors, next");
        uint32[] memory contributions = new uint32[](64);
        for (uint256 i = 0; i < 64; ++i) {
            contributions[i] = 15_000;
        }
        vm.prank(coordinator);
        rounds.finish(study, contributions, "evidence");
        vm.snapshotGasLastCall(FILE, "TrainingRounds.finish, 64 members");
        for (uint8 group = 0; group < 8; ++group) {
            vm.prank(sponsor);
            rounds.publishCollection(study, group, "manifest", "");
        }
        vm.snapshotGasLastCall(FILE, "TrainingRounds.publishCollection, 8 members");
        vm.prank(sponsor);
        rounds.publishModel(study, _result(2), "manifest", 0, 0, "");
        vm.snapshotGasLastCall(FILE, "TrainingRounds.publishModel, 64 contributors");
    }

    function test_gas_royalties() public {
        uint8[3] memory counts = [0, 4, 8];
        string[3] memory names = ["0 parents", "4 parents", "8 parents"];
        _fund(stranger, address(vault), 1e30);
        for (uint256 n = 0; n < 3; ++n) {
            IAssetRegistry.Parent[] memory parents = new IAssetRegistry.Parent[](counts[n]);
            for (uint256 i = 0; i < counts[n]; ++i) {
                parents[i] = IAssetRegistry.Parent({id: _dataset(i), sharePpm: 50_000});
            }
            uint64 asset = _child(clinic, parents);
            vm.prank(stranger);
            vault.pay(asset, address(token), 1e18, "first");
            if (n == 0) vm.snapshotGasLastCall(FILE, "RoyaltyVault.pay, first");
            vm.prank(stranger);
            vault.pay(asset, address(token), 1e18, "next");
            if (n == 0) vm.snapshotGasLastCall(FILE, "RoyaltyVault.pay, next");
            vm.prank(stranger);
            vault.settle(asset, address(token));
            vm.snapshotGasLastCall(FILE, string.concat("RoyaltyVault.settle, ", names[n], ", first"));
            vm.prank(stranger);
            vault.pay(asset, address(token), 1e18, "next");
            vm.prank(stranger);
            vault.settle(asset, address(token));
            vm.snapshotGasLastCall(FILE, string.concat("RoyaltyVault.settle, ", names[n], ", next"));
            vm.prank(clinic);
            vault.claim(asset, address(token));
            if (n == 0) vm.snapshotGasLastCall(FILE, "RoyaltyVault.claim");
        }
    }
}
