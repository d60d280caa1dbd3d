//! A batch that several processes compute together, each a share of its blocks; messages travel between the phases.
//!
//! A process sends a message, receives those of all ranks, and continues: once, or twice if the backward pass depends
//! on sums of the whole batch. Blocks' sums are added in the tree of a batch that one process computes alone, so that
//! the number of processes never changes a bit. Each does the optimiser's step itself.

use std::ops::Range;
use std::sync::atomic::AtomicBool;

use super::digest::Digest;
use super::message::{Expected, Header, Message, MessagePhase};
use super::share::Share;
use super::{
    Assignment, BatchSums, Evaluation, Pass, StepReport, Training, Workers, Workspace, advance, finite,
    kept_for,
};
use crate::batch::Part;
use crate::batch::loss::{Loss, LossTerm};
use crate::description::legal::Use;
use crate::description::rule::Estimator;
use crate::error::{Result, invalid};
use crate::learn::block_gradient::{BlockGradient, Subtree};
use crate::learn::plan::LearningPlan;
use crate::model::Model;
use crate::model::optimiser;
use crate::run::real::Real;

/// A batch to be computed together: the same on every rank but for the share and what a part leaves out.
#[derive(Debug)]
pub struct Sharing<'a, F: Real> {
    /// The model; a training step gives another.
    pub model: &'a Model<F>,
    /// The batch: the whole, of which this process computes a share, or this share alone ([`Part`]).
    pub assignment: Assignment<'a>,
    /// Rule and optimiser of a training step; `None`: the batch is evaluated.
    pub training: Option<Training<'a>>,
    /// The share of this process.
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

/// Result of the messages of all ranks.
#[derive(Debug)]
pub enum Turnout<F: Real> {
    /// A further message of this rank, for all ranks.
    More(SharedWork<F>, Vec<u8>),
    /// The finished training step, the same on every rank.
    Trained(Box<Model<F>>, StepReport),
    /// The finished evaluation, likewise.
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
        let pass = self.pass()?;
        let Some(Training { rule, optimiser }) = self.training else {
            let header = self.header(MessagePhase::Evaluation)?;
            return self.send(header, Waiting::BlockSums, pass.evaluate()?, Vec::new());
        };
        let regularised = self.assignment.objective.regulariser.is_some();
        let plan = pass.plan(rule, regularised, &optimiser.learns(self.model.network()))?;
        if pass.needs_whole_batch(&plan, rule) {
            let header = self.header(MessagePhase::Forward)?;
            let mut workspaces = pass.forward(kept_for(&plan))?;
            let block_sums = pass.evaluate_losses(&mut workspaces, None)?;
            return self.send(
                header,
                Waiting::Forward { plan: plan.into(), workspaces },
                block_sums,
                Vec::new(),
            );
        }
        let header = self.header(MessagePhase::AtOnce)?;
        let (block_sums, block_gradients) = match rule.estimator {
            Estimator::Backward => pass.forward_backward(&plan)?,
            _ => pass.online(&plan, rule.trace)?,
        };
        let waiting = Waiting::Sums { plan: plan.into(), batch_sums: None };
        self.send(header, waiting, block_sums, self.combine(block_gradients))
    }

    /// The message of two neighbouring groups of ranks, from those of each. It is the same however ranks are grouped: [`Self::go_on`] may
    /// be given the messages of all ranks, or what becomes of them.
    ///
    /// # Errors
    /// As [`Self::go_on`] for messages.
    pub fn merge(&self, work: &SharedWork<F>, left: &[u8], right: &[u8]) -> Result<Vec<u8>> {
        let (plan, has) = match &work.waiting {
            Waiting::BlockSums => (None, [true, false]),
            Waiting::Forward { plan, .. } => (Some(&**plan), [true, false]),
            Waiting::Sums { plan, batch_sums } => (Some(&**plan), [batch_sums.is_none(), true]),
        };
        self.expected(plan).merge(&work.header, left, right, has)
    }

    /// Continues with the messages of all ranks, in the order of the ranks, some of them perhaps merged.
    ///
    /// # Errors
    /// [`crate::Error::Invalid`] for messages that are damaged, missing, in another order or of ranks that do not compute
    /// the same; else as [`Self::begin`].
    pub fn go_on(&self, work: SharedWork<F>, messages: &[impl AsRef<[u8]>]) -> Result<Turnout<F>> {
        let SharedWork { header, waiting } = work;
        let messages = Message::read_all(messages, &header)?;
        match (waiting, self.training) {
            (Waiting::Forward { plan, workspaces }, Some(_)) => {
                self.go_back(header, plan, workspaces, messages)
            }
            (Waiting::Sums { plan, batch_sums }, Some(training)) => {
                let (model, report) = self.advance(training, &plan, batch_sums, messages)?;
                Ok(Turnout::Trained(model.into(), report))
            }
            _ => {
                let batch_sums = self.total(None, messages)?.0;
                finite(batch_sums.evaluation(self.model, self.assignment)).map(Turnout::Evaluated)
            }
        }
    }

    fn validate(&self) -> Result<()> {
        self.validate_part()?;
        match self.assignment.batch.is_empty_part() {
            true => self.assignment.objective.check(self.model.network())?,
            false => self.assignment.validate(self.model)?,
        }
        if self.assignment.objective.is_custom() {
            return Err(invalid("loss", "custom", "with a collective: a built-in loss"));
        }
        let Some(Training { rule, optimiser }) = self.training else { return Ok(()) };
        rule.validate_use(Use::Collective)?;
        optimiser.validate(self.model.network())?;
        let optimiser = optimiser.at(u64::from(self.assignment.batch.key.iteration));
        optimiser::next_feedback_decay(self.model, &rule.feedback, &optimiser).map(|_| ())
    }

    /// A part of a batch must be the share of this process.
    fn validate_part(&self) -> Result<()> {
        let Assignment { batch, objective } = self.assignment;
        let Some(Part { first, trials, windows }) = &batch.part else { return Ok(()) };
        if *trials == 0 || *trials > 1 << 20 {
            return Err(invalid("batch.range.of", trials, "1 to 1048576"));
        }
        let (own, given) = (self.share.trials(*trials), *first..first + batch.trials);
        if own != given {
            let range = |range: &Range<usize>| format!("trials {} to {}", range.start, range.end);
            return Err(invalid("batch.range", range(&given), format!("{}, this rank's", range(&own))));
        }
        if windows.len() != objective.losses.len() {
            let allowed = format!("one per loss ({})", objective.losses.len());
            return Err(invalid("batch.range.windows", format!("{} numbers", windows.len()), allowed));
        }
        let without =
            |(term, &windows): (&LossTerm, &usize)| term.loss == Loss::WindowedCrossEntropy && windows == 0;
        match objective.losses.iter().zip(windows).position(without) {
            Some(i) => {
                let path = format!("targets.{}", objective.losses[i].readout);
                Err(invalid(path, "empty", "at least one window in the whole batch"))
            }
            None => Ok(()),
        }
    }

    fn pass(&self) -> Result<Pass<'_, F>> {
        let mut pass = Pass::new(self.model, self.assignment, self.workers, self.cancel)?;
        if self.assignment.batch.part.is_none() {
            pass.blocks = self.share.blocks(self.assignment.blocks());
        }
        Ok(pass)
    }

    fn header(&self, phase: MessagePhase) -> Result<Header> {
        let weights = Digest::of_bytes(&self.model.to_checkpoint()?);
        let engine = (env!("CARGO_PKG_VERSION"), F::NAME, self.workers.instructions().class());
        let rule = Digest::of(&self.training);
        let losses = Digest::of(self.assignment.objective);
        let batch = Digest::of_batch(self.assignment.batch);
        Ok(Header::new(self.share, phase, [weights, rule, losses, batch, Digest::of(&engine)]))
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

    /// The gradient sums of the own blocks, added as far as the other ranks' are not needed.
    fn combine(&self, block_gradients: Vec<BlockGradient<F>>) -> Vec<Subtree<F>> {
        let blocks = self.assignment.whole_blocks();
        let first = self.share.blocks(blocks).start;
        Subtree::combine(Subtree::of_blocks(first, block_gradients), blocks)
    }

    fn expected<'a>(&'a self, plan: Option<&'a LearningPlan<F>>) -> Expected<'a, F> {
        Expected {
            share: self.share,
            blocks: self.assignment.whole_blocks(),
            losses: self.assignment.objective.losses.len(),
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
        let block_gradients = pass.backward(&mut plan, workspaces, &batch_sums)?;
        let waiting = Waiting::Sums { plan, batch_sums: Some(batch_sums) };
        let subtrees = self.combine(block_gradients);
        let (work, message) = self.send(header.at(MessagePhase::Backward), waiting, Vec::new(), subtrees)?;
        Ok(Turnout::More(work, message))
    }

    fn advance(
        &self,
        Training { rule, optimiser }: Training<'_>,
        plan: &LearningPlan<F>,
        batch_sums: Option<BatchSums>,
        messages: Vec<Message<F>>,
    ) -> Result<(Model<F>, StepReport)> {
        let (batch_sums, messages) = match batch_sums {
            Some(batch_sums) => (batch_sums, messages),
            None => self.total(Some(plan), messages)?,
        };
        let subtrees = self.expected(Some(plan)).subtrees(messages, plan)?;
        let learned = self.pass()?.conclude(rule.estimator, plan, &batch_sums, subtrees)?;
        let key = self.assignment.batch.key;
        let optimiser = &*optimiser.at(u64::from(key.iteration));
        let decay = optimiser::next_feedback_decay(self.model, &rule.feedback, optimiser)?;
        advance(self.model, learned, decay, optimiser, key.seed, self.workers)
    }
}
