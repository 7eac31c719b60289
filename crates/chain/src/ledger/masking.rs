//! Masked rounds, kept by `MaskedRounds`.

use alloy_primitives::B256;
use alloy_sol_types::{SolCall, SolEvent as _};
use counterweight_federated::ledger::LedgerError;
use counterweight_federated::ledger::masking::{
    MaskDealing, MaskDomain, MaskDraw, MaskLedger, MaskReader, MaskRound, MaskSetting,
};
use counterweight_federated::masking::PublicKey;
use counterweight_federated::masking::draw::{context, draw};
use counterweight_federated::member_set::MemberSet;
use counterweight_primitives::{
    Address, Amount, ContentDigest, MemberIndex, Round, Sha256Digest, StudyId, UnixSeconds,
};

use super::{ContractLedger, Failure, decode, is, topic};
use crate::address::{from_evm, to_evm};
use crate::contracts::{IMaskedRounds as Contract, ITrainingRounds};
use crate::network::EventLog;

/// How often a drawing is tried: announcements close in one block and groups are drawn in a later one, which on a chain where
/// nobody else sends may take a block or two.
const DRAWS: usize = 8;

impl<S> ContractLedger<S> {
    /// `MaskedRounds` of this deployment.
    pub(super) fn masked_rounds(&self) -> Result<Address, LedgerError> {
        let address = self.deployment.masked_rounds;
        address.ok_or_else(|| LedgerError::Refused {
            name: "NotDeployed".to_owned(),
            reason: "this deployment has no MaskedRounds".to_owned(),
        })
    }

    /// Who posted the bond behind a study's sums, and what is left of it.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn mask_bond(&self, study: StudyId) -> Result<(Address, Amount), LedgerError> {
        let bond = self.ask(self.masked_rounds()?, &Contract::bondOfCall { study: study.0 })?;
        Ok((from_evm(bond.depositor), Amount(bond.amount)))
    }

    /// What happened in a study's masked rounds, and its openings, in order.
    fn mask_events(&self, study: StudyId) -> Result<Vec<EventLog>, LedgerError> {
        let subject = Some(topic(study.0));
        let signatures = [
            Contract::KeyAnnounced::SIGNATURE_HASH,
            Contract::GroupsDrawn::SIGNATURE_HASH,
            Contract::SecretsDealt::SIGNATURE_HASH,
            Contract::VectorUploaded::SIGNATURE_HASH,
            Contract::SurvivorsFixed::SIGNATURE_HASH,
            Contract::SharesPublished::SIGNATURE_HASH,
            Contract::SumsPosted::SIGNATURE_HASH,
            Contract::SumRefuted::SIGNATURE_HASH,
        ];
        let mut logs = self.events(self.masked_rounds()?, &signatures, subject)?;
        let opened = [ITrainingRounds::RoundOpened::SIGNATURE_HASH];
        logs.extend(self.events(self.deployment.training_rounds, &opened, subject)?);
        logs.sort_by_key(|log| (log.block, log.index));
        Ok(logs)
    }

    /// Adds what one event says.
    fn read_mask_event(
        &self,
        log: &EventLog,
        study: StudyId,
        setting: &MaskSetting,
        rounds: &mut Vec<MaskRound>,
    ) -> Result<(), LedgerError> {
        if is::<ITrainingRounds::RoundOpened>(log) {
            let event: ITrainingRounds::RoundOpened = decode(log)?;
            let commit_by = UnixSeconds(event.commitBy);
            // Opened again after it expired: what was recorded before counts for nothing but the privacy it spent.
            let record = match rounds.pop_if(|last| last.round.0 == event.round) {
                Some(expired) => expired.opened_again(commit_by),
                None => MaskRound::opened(Round(event.round), commit_by),
            };
            rounds.push(record);
        } else if is::<Contract::KeyAnnounced>(log) {
            let event: Contract::KeyAnnounced = decode(log)?;
            let round = opened(rounds, event.round)?;
            if round.commit_by.0 != event.commitBy {
                return Err(Failure::malformed("a key of another opening than the newest").into());
            }
            let key = PublicKey(event.key.0);
            round.announced.push((MemberIndex(event.member), key));
        } else if is::<Contract::GroupsDrawn>(log) {
            let event: Contract::GroupsDrawn = decode(log)?;
            let round = opened(rounds, event.round)?;
            let beacon = event.beacon.0;
            let groups = draw(&beacon, MemberSet(event.announced), setting.group_size);
            let domain = self.mask_domain()?;
            let context = |group| context(&domain, study, round.round, round.commit_by, group, &beacon);
            // At most 64 members, so at most 21 groups.
            let contexts = (0_u8..).take(groups.len()).map(context).collect();
            round.drawn = Some(MaskDraw {
                beacon,
                groups,
                contexts,
            });
        } else if is::<Contract::SecretsDealt>(log) {
            let event: Contract::SecretsDealt = decode(log)?;
            opened(rounds, event.round)?.dealings.push(MaskDealing {
                member: MemberIndex(event.member),
                record: ContentDigest(event.dealing.0),
                shares_root: Sha256Digest(event.digestsRoot.0),
            });
        } else if is::<Contract::VectorUploaded>(log) {
            let event: Contract::VectorUploaded = decode(log)?;
            let upload = (MemberIndex(event.member), Sha256Digest(event.root.0));
            opened(rounds, event.round)?.uploads.push(upload);
        } else if is::<Contract::SurvivorsFixed>(log) {
            let event: Contract::SurvivorsFixed = decode(log)?;
            opened(rounds, event.round)?.survivors = Some(MemberSet(event.survivors));
        } else if is::<Contract::SharesPublished>(log) {
            let event: Contract::SharesPublished = decode(log)?;
            let unmasking = (MemberIndex(event.member), ContentDigest(event.unmasking.0));
            opened(rounds, event.round)?.unmaskings.push(unmasking);
        } else if is::<Contract::SumsPosted>(log) {
            let event: Contract::SumsPosted = decode(log)?;
            let sums = event.sums.iter().map(|root| Sha256Digest(root.0)).collect();
            opened(rounds, event.round)?.sums = Some(sums);
        } else {
            let event: Contract::SumRefuted = decode(log)?;
            opened(rounds, event.round)?.refuted.push(event.group);
        }
        Ok(())
    }
}

/// Sums of earlier rounds are refuted while later ones run, so any round may have events.
fn opened(rounds: &mut [MaskRound], number: u32) -> Result<&mut MaskRound, Failure> {
    rounds
        .iter_mut()
        .rfind(|round| round.round.0 == number)
        .ok_or_else(|| Failure::malformed(format!("an event of round {number}, which was not opened")))
}

impl<S> MaskReader for ContractLedger<S> {
    fn mask_setting(&self, study: StudyId) -> Result<Option<MaskSetting>, LedgerError> {
        if self.deployment.masked_rounds.is_none() {
            return Ok(None);
        }
        let setting = self.ask(self.masked_rounds()?, &Contract::settingOfCall { study: study.0 })?;
        Ok((setting.groupSize != 0).then(|| MaskSetting {
            group_size: setting.groupSize,
            threshold_percent: setting.thresholdPercent,
            fewest_survivors: setting.fewestSurvivors,
            coordinates: setting.coordinates,
            bond_token: from_evm(setting.bondToken),
            bond: Amount(setting.bond),
            dispute_seconds: setting.disputeSeconds,
        }))
    }

    fn mask_round(&self, study: StudyId, round: Round) -> Result<Option<MaskRound>, LedgerError> {
        let rounds = self.mask_rounds(study)?;
        Ok(rounds.into_iter().find(|record| record.round == round))
    }

    fn mask_rounds(&self, study: StudyId) -> Result<Vec<MaskRound>, LedgerError> {
        let mut rounds = Vec::new();
        let Some(setting) = self.mask_setting(study)? else {
            return Ok(rounds);
        };
        for log in &self.mask_events(study)? {
            self.read_mask_event(log, study, &setting, &mut rounds)?;
        }
        Ok(rounds)
    }

    fn mask_domain(&self) -> Result<MaskDomain, LedgerError> {
        Ok(MaskDomain {
            chain: self.deployment.chain_id,
            contract: self.masked_rounds()?,
        })
    }
}

impl MaskLedger for ContractLedger {
    fn configure_masking(&self, study: StudyId, setting: &MaskSetting) -> Result<(), LedgerError> {
        let masks = self.masked_rounds()?;
        self.approve(setting.bond_token, masks, setting.bond)?;
        let setting = Contract::Setting {
            bondToken: to_evm(setting.bond_token),
            groupSize: setting.group_size,
            thresholdPercent: setting.threshold_percent,
            fewestSurvivors: setting.fewest_survivors,
            coordinates: setting.coordinates,
            disputeSeconds: setting.dispute_seconds,
            bond: setting.bond.0,
        };
        self.send_to_masks(&Contract::configureCall {
            study: study.0,
            setting,
        })
    }

    fn announce_key(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        key: &PublicKey,
    ) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::announceCall {
            study: study.0,
            round: round.0,
            member: member.0,
            key: key.0.into(),
        })
    }

    fn draw_groups(&self, study: StudyId, round: Round) -> Result<(), LedgerError> {
        let masks = self.masked_rounds()?;
        let call = Contract::drawCall {
            study: study.0,
            round: round.0,
        };
        for _ in 0..DRAWS {
            match self.send(masks, &call).map_err(LedgerError::from) {
                Ok(inclusion) => {
                    let drawn =
                        |log: &EventLog| log.address == to_evm(masks) && is::<Contract::GroupsDrawn>(log);
                    if inclusion.logs.iter().any(drawn) {
                        return Ok(());
                    }
                }
                // A node that estimates on the newest block finds announcements closed in that very block.
                Err(LedgerError::Refused { name, .. }) if name == "SameBlock" => {}
                Err(error) => return Err(error),
            }
        }
        Err(LedgerError::Refused {
            name: "NotDrawn".to_owned(),
            reason: format!("announcements of round {round} closed, and {DRAWS} calls drew no groups"),
        })
    }

    fn commit_dealing(&self, study: StudyId, round: Round, dealing: &MaskDealing) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::dealCall {
            study: study.0,
            round: round.0,
            member: dealing.member.0,
            dealing: dealing.record.0.into(),
            digestsRoot: dealing.shares_root.0.into(),
        })
    }

    fn commit_upload(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        root: Sha256Digest,
    ) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::uploadCall {
            study: study.0,
            round: round.0,
            member: member.0,
            root: root.0.into(),
        })
    }

    fn fix_survivors(&self, study: StudyId, round: Round, survivors: MemberSet) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::fixSurvivorsCall {
            study: study.0,
            round: round.0,
            survivors: survivors.0,
        })
    }

    fn commit_unmasking(
        &self,
        study: StudyId,
        round: Round,
        member: MemberIndex,
        unmasking: ContentDigest,
    ) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::unmaskCall {
            study: study.0,
            round: round.0,
            member: member.0,
            unmasking: unmasking.0.into(),
        })
    }

    fn post_sums(&self, study: StudyId, round: Round, roots: &[Sha256Digest]) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::postSumsCall {
            study: study.0,
            round: round.0,
            sums: roots.iter().map(|root| B256::from(root.0)).collect(),
        })
    }
}

impl ContractLedger {
    /// Gives the bond behind a study's sums back to who posted it, once the study ended and its sums could be disputed.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn release_mask_bond(&self, study: StudyId) -> Result<(), LedgerError> {
        self.send_to_masks(&Contract::releaseCall { study: study.0 })
    }

    fn send_to_masks<C: SolCall>(&self, call: &C) -> Result<(), LedgerError> {
        self.send(self.masked_rounds()?, call)?;
        Ok(())
    }
}
