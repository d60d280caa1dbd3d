//! A batch that several processes compute together, each a share of its blocks; messages travel between the phases.
//!
//! A process gives a message, receives those of all ranks, and continues: once, or twice if the backward pass depends
//! on sums of the whole batch. Blocks' sums are added in the tree of a batch that one process computes alone, so that
//! the number of processes never changes a bit. Each does the optimiser's step itself.

use std::sync::atomic::AtomicBool;

use super::digest::Digest;
use super::message::{Expected, Header, Message, MessagePhase};
use super::share::Share;
use super::{Assignment, BatchSums, Evaluation, Pass, StepReport, Workers, Workspace, advance, finite};
use crate::description::legal::Use;
use crate::description::rule::Rule;
use crate::error::{Result, invalid};
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::plan::LearningPlan;
use crate::model::Model;
use crate::model::optimiser::{self, Optimiser};
use crate::numeric::lanes::LANES;
use crate::run::real::Real;

/// A batch to be computed together: the same on every rank but for the share.
#[derive(Debug)]
pub struct Sharing<'a, F: Real> {
    /// The model; a training step gives another.
    pub model: &'a Model<F>,
    /// The whole batch.
    pub assignment: Assignment<'a>,
    /// Of a training step; without them the batch is evaluated.
    pub training: Option<(&'a Rule, &'a Optimiser)>,
    /// Who computes what.
    pub share: Share,
    /// Threads of this process.
    pub workers: &'a Workers<F>,
    /// Set to stop the work.
    pub cancel: &'a AtomicBool,
}

/// Work that waits for the messages of all ranks.
#[derive(Debug)]
pub struct SharedWork<F: Real> {
    header: Header,
    waiting: Waiting<F>,
}

#[derive(Debug)]
enum Waiting<F: Real> {
    /// For the sums of an evaluation.
    BlockSums,
    /// For the sums of the forward pass that the backward pass needs.
    Forward { plan: Box<LearningPlan<F>>, workspaces: Vec<Workspace<F>> },
    /// For gradient sums; and for those of the forward pass, where they are not known yet.
    Sums { plan: Box<LearningPlan<F>>, batch_sums: Option<BatchSums> },
}

/// What the messages of all ranks lead to.
#[derive(Debug)]
pub enum Turnout<F: Real> {
    /// Another message of this rank's.
    More(SharedWork<F>, Vec<u8>),
    /// A training step's end, the same on every rank.
    Trained(Box<Model<F>>, StepReport),
    /// An evaluation's end, likewise.
    Evaluated(Evaluation),
}

impl<F: Real> Sharing<'_, F> {
    /// Computes the own share up to the first message, which is to go to every rank.
    ///
    /// # Errors
    /// As [`super::train_step`] and [`super::evaluate`]; [`crate::Error::Invalid`] for a custom loss and for estimators
    /// that carry influence, too: neither can be shared.
    pub fn begin(&self) -> Result<(SharedWork<F>, Vec<u8>)> {
        self.validate()?;
        let (pass, objective) = (self.pass()?, self.assignment.objective);
        let Some((rule, optimiser)) = self.training else {
            let header = self.header(MessagePhase::Evaluation)?;
            return self.send(header, Waiting::BlockSums, pass.block_sums(self.assignment)?, Vec::new());
        };
        let learns = optimiser.learns(self.model.network());
        let plan =
            LearningPlan::new(self.model, &pass.compiled, rule, objective.regulariser.is_some(), &learns)?;
        pass.room_for_partials(&plan, rule.estimator)?;
        if pass.goes_in_two(objective, &plan, rule) {
            let header = self.header(MessagePhase::Forward)?;
            let (workspaces, block_sums) = pass.forward_all(self.assignment, &plan)?;
            return self.send(
                header,
                Waiting::Forward { plan: plan.into(), workspaces },
                block_sums,
                Vec::new(),
            );
        }
        let header = self.header(MessagePhase::AtOnce)?;
        let (block_sums, block_gradients) = pass.at_once(self.assignment, &plan, rule)?;
        let waiting = Waiting::Sums { plan: plan.into(), batch_sums: None };
        self.send(header, waiting, block_sums, self.combine(&pass, block_gradients))
    }

    /// Goes on with the messages of all ranks, in their order.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for messages that are damaged, missing, in another order or of ranks that do not compute
    /// the same; else as [`Self::begin`].
    pub fn go_on(&self, work: SharedWork<F>, messages: &[Vec<u8>]) -> Result<Turnout<F>> {
        let SharedWork { header, waiting } = work;
        let messages = Message::read_all(messages, &header)?;
        match (waiting, self.training) {
            (Waiting::Forward { plan, workspaces }, Some(_)) => {
                self.go_back(header, plan, workspaces, messages)
            }
            (Waiting::Sums { plan, batch_sums }, Some((rule, optimiser))) => {
                let (model, report) = self.advance(rule, optimiser, &plan, batch_sums, messages)?;
                Ok(Turnout::Trained(model.into(), report))
            }
            _ => {
                let batch_sums = self.total(None, messages)?.0;
                finite(batch_sums.evaluation(self.model, self.assignment)).map(Turnout::Evaluated)
            }
        }
    }

    fn validate(&self) -> Result<()> {
        self.assignment.validate(self.model)?;
        if self.assignment.objective.is_custom() {
            return Err(invalid("loss", "custom", "with a collective: a built-in loss"));
        }
        let Some((rule, optimiser)) = self.training else { return Ok(()) };
        rule.validate_use(Use::Collective)?;
        optimiser.validate(self.model.network())?;
        optimiser::next_feedback_decay(self.model, &rule.feedback, optimiser).map(|_| ())
    }

    fn blocks(&self) -> usize {
        self.assignment.batch.trials.div_ceil(LANES)
    }

    fn pass(&self) -> Result<Pass<'_, F>> {
        let pass = Pass::new(self.model, self.assignment.batch, self.workers, self.cancel)?;
        Ok(Pass { blocks: self.share.blocks(self.blocks()), ..pass })
    }

    fn header(&self, stage: MessagePhase) -> Result<Header> {
        let weights = Digest::of_bytes(&self.model.to_checkpoint()?);
        let engine = (env!("CARGO_PKG_VERSION"), F::NAME, self.workers.instructions().class());
        let rule = Digest::of(&self.training);
        let losses = Digest::of(self.assignment.objective);
        let batch = Digest::of_trials(self.assignment);
        Ok(Header::new(self.share, stage, [weights, rule, losses, batch, Digest::of(&engine)]))
    }

    fn send(
        &self,
        header: Header,
        waiting: Waiting<F>,
        block_sums: Vec<BatchSums>,
        subtrees: Vec<Subtree<F>>,
    ) -> Result<(SharedWork<F>, Vec<u8>)> {
        let message = Message::encode(header, self.share, block_sums, subtrees)?;
        Ok((SharedWork { header, waiting }, message))
    }

    /// The sums of the own blocks, added as far as they can be without the others'.
    fn combine(&self, pass: &Pass<'_, F>, block_gradients: Vec<BlockGradient<F>>) -> Vec<Subtree<F>> {
        Subtree::combine(Subtree::of_blocks(pass.blocks.start, block_gradients), self.blocks())
    }

    fn expected<'a>(&'a self, plan: Option<&'a LearningPlan<F>>) -> Expected<'a, F> {
        let Assignment { batch, objective, .. } = self.assignment;
        Expected {
            share: self.share,
            blocks: self.blocks(),
            steps: batch.steps,
            losses: objective.losses.len(),
            network: self.model.network(),
            plan,
        }
    }

    /// Sums of the whole batch; and the messages without it.
    fn total(
        &self,
        plan: Option<&LearningPlan<F>>,
        mut messages: Vec<Message<F>>,
    ) -> Result<(BatchSums, Vec<Message<F>>)> {
        let block_sums = self.expected(plan).block_sums(&mut messages)?;
        Ok((BatchSums::total(&block_sums), messages))
    }

    fn go_back(
        &self,
        header: Header,
        mut plan: Box<LearningPlan<F>>,
        workspaces: Vec<Workspace<F>>,
        messages: Vec<Message<F>>,
    ) -> Result<Turnout<F>> {
        let (pass, batch_sums) = (self.pass()?, self.total(Some(&plan), messages)?.0);
        let block_gradients = pass.return_all(self.assignment, &mut plan, &batch_sums, workspaces)?;
        let waiting = Waiting::Sums { plan, batch_sums: Some(batch_sums) };
        let subtrees = self.combine(&pass, block_gradients);
        let (work, message) = self.send(header.at(MessagePhase::Backward), waiting, Vec::new(), subtrees)?;
        Ok(Turnout::More(work, message))
    }

    fn advance(
        &self,
        rule: &Rule,
        optimiser: &Optimiser,
        plan: &LearningPlan<F>,
        batch_sums: Option<BatchSums>,
        messages: Vec<Message<F>>,
    ) -> Result<(Model<F>, StepReport)> {
        let (batch_sums, messages) = match batch_sums {
            Some(batch_sums) => (batch_sums, messages),
            None => self.total(Some(plan), messages)?,
        };
        let subtrees = self.expected(Some(plan)).subtrees(messages, plan)?;
        let learned = self.pass()?.conclude(self.assignment, rule.estimator, plan, &batch_sums, subtrees)?;
        let decay = optimiser::next_feedback_decay(self.model, &rule.feedback, optimiser)?;
        let seed = self.assignment.batch.key.seed;
        advance(self.model, learned, decay, optimiser, seed, self.workers)
    }
}
