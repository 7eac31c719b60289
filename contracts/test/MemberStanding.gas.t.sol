// SPDX-License-Identifier: Apache-2.0 OR MIT
pragma solidity 0.8.37;

import {StandingStudies} from "./base/StandingStudies.sol";

/// @dev What each step of an exclusion costs, with its transaction: `npm run gas` writes gas.json, `npm test` compares.
contract MemberStandingGasTest is StandingStudies {
    function test_gas_steps() public {
        uint64 study = _judged();
        _configure(_open(_terms()));
        _snapshot("configure");
        _propose(study, 1, 1);
        _snapshot("propose");
        _appeal(study, 1);
        _snapshot("appeal");
        _decide(study, 1, true);
        _snapshot("decide");
        _round(study, 15);
        _propose(study, 1, 2);
        _snapshot("propose, again");
    }

    function _snapshot(string memory name) private {
        vm.snapshotGasLastCall("gas", string.concat("MemberStanding.", name));
    }
}
