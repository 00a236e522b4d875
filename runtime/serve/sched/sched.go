package sched

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"sort"
	"sync"
	"time"

	"qpt/internal/par"
	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// DefaultGap is the TargetGap of Options that name none.
const DefaultGap = 100 * time.Millisecond

// Options of New; the zero value suits most uses.
type Options struct {
	Texts     int           // that run at once at most; 0: 64
	Queue     int           // that wait at most; 0: 256
	TargetGap time.Duration // between tokens of a text while prompts are read; 0: DefaultGap
	NoCache   bool          // keep no prefixes
	Pinned    []Pinned      // prefixes that are kept as long as the scheduler, for texts of every key; their sessions become its own
	// Gate lets one pass at a time onto the cores that several models share; nil: the model has them alone.
	Gate     chan struct{}
	Observer Observer
}

// Pinned is a session that has read the tokens.
type Pinned struct {
	Tokens  []int32
	Session *lm.Session
}

// Scheduler runs the texts of one model; see the package's documentation.
type Scheduler struct {
	m    *lm.Model
	opt  Options
	rows int // of a pass at most

	mu      sync.Mutex
	arrived []*text
	closing bool
	abort   bool
	waiting int // arrived and queued
	running int
	held    int64 // bytes of the pages of running texts
	wake    chan struct{}
	ended   chan struct{}
	orders  uint64

	// of the loop
	queue  *fair
	texts  []*text // running, in the order of admission
	cache  *cache
	pinned int64 // bytes of the pages that are never given back
	pace   Pace
	place  uint64
}

// New starts a scheduler, which ends with Close. The model stays the caller's.
func New(m *lm.Model, opt Options) *Scheduler {
	if opt.Texts <= 0 {
		opt.Texts = 64
	}
	if opt.Queue <= 0 {
		opt.Queue = 256
	}
	if opt.TargetGap <= 0 {
		opt.TargetGap = DefaultGap
	}
	if opt.Gate == nil {
		opt.Gate = make(chan struct{}, 1)
	}
	if opt.Observer == nil {
		opt.Observer = unseen{}
	}
	s := &Scheduler{m: m, opt: opt, rows: m.MaxRows(), wake: make(chan struct{}, 1), ended: make(chan struct{}), queue: newFair()}
	s.opt.Texts = max(min(opt.Texts, s.rows-minRows), 1)
	s.cache = newCache(m.KVPage())
	for _, p := range opt.Pinned {
		s.pinned += m.KVBytes(p.Session.Len(), 0)
		s.cache.pin(p.Tokens, p.Session)
	}
	go s.loop()
	return s
}

// unseen is the Observer of who wants none.
type unseen struct{}

func (unseen) Pass(int, int, time.Duration) {}
func (unseen) Token(time.Duration)          {}
func (unseen) First(time.Duration)          {}
func (unseen) Preempted()                   {}
func (unseen) Prefix(int, int)              {}
func (unseen) Done(*Times)                  {}

// Load is how much there is to do.
type Load struct {
	Running, Waiting int
	KV               float64 // share of the pages' memory that running texts hold
}

// Load tells how much there is to do now.
func (s *Scheduler) Load() Load {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := Load{Running: s.running, Waiting: s.waiting}
	if b := s.m.KVMemory(); b > 0 {
		l.KV = min(float64(s.held)/float64(b), 1)
	}
	return l
}

// Submit queues a request. Errors match ErrContext, ErrBusy, ErrClosed or ErrRequest. The
// text ends early with ctx.
func (s *Scheduler) Submit(ctx context.Context, r *Request) (*Stream, error) {
	list, err := s.SubmitAll(ctx, []*Request{r})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// SubmitAll queues several requests, or none after an error.
func (s *Scheduler) SubmitAll(ctx context.Context, list []*Request) ([]*Stream, error) {
	texts, streams := make([]*text, len(list)), make([]*Stream, len(list))
	for i, r := range list {
		var err error
		if texts[i], err = s.newText(ctx, r); err != nil {
			for _, t := range texts[:i] {
				t.stream.cancel()
			}
			return nil, err
		}
		streams[i] = texts[i].stream
	}
	err := s.enqueue(texts)
	if err != nil {
		for _, t := range texts {
			t.stream.cancel()
		}
		return nil, err
	}
	return streams, nil
}

func (s *Scheduler) enqueue(texts []*text) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closing:
		return ErrClosed
	case s.waiting > 0 && s.waiting+len(texts) > s.opt.Queue:
		return fmt.Errorf("%w: %d", ErrBusy, s.waiting)
	}
	for _, t := range texts {
		s.orders++
		t.order = s.orders
	}
	s.arrived = append(s.arrived, texts...)
	s.waiting += len(texts)
	s.ring()
	return nil
}

func (s *Scheduler) newText(ctx context.Context, r *Request) (*text, error) {
	if len(r.Prompt) == 0 {
		return nil, fmt.Errorf("%w: the prompt has no tokens", ErrRequest)
	}
	limit := s.m.Context()
	if b := s.m.KVMemory(); b > 0 { // the greatest length that has room
		limit = sort.Search(limit, func(n int) bool { return s.m.KVBytes(n+1, s.rows) > b-s.pinned })
	}
	if len(r.Prompt) >= limit {
		return nil, fmt.Errorf("%w: %d tokens, and there is room for %d with one of the answer", ErrContext, len(r.Prompt), limit)
	}
	vocab := s.m.Program().Vocab()
	for i, id := range r.Prompt {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("%w: token %d of the prompt is %d: the vocabulary has %d", ErrRequest, i, id, vocab)
		}
	}
	for what, ids := range map[string][]int32{"bias of": slices.Collect(maps.Keys(r.Bias)), "stop": r.StopIDs, "allowed": r.Allowed, "banned": slices.Concat(r.Banned...)} {
		for _, id := range ids {
			if id < 0 || int(id) >= s.m.Vocab() {
				return nil, fmt.Errorf("%w: %s token %d: the vocabulary has %d", ErrRequest, what, id, s.m.Vocab())
			}
		}
	}
	smp, err := sample.New(r.Sample)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRequest, err)
	}
	ctx, cancel := context.WithCancel(ctx)
	t := &text{
		req: r, ctx: ctx, sampler: smp, limit: limit,
		tokens: append(make([]int32, 0, len(r.Prompt)+min(r.MaxTokens, 256)+1), r.Prompt...),
		stream: &Stream{wake: make(chan struct{}, 1), cancel: cancel},
		times:  Times{Arrived: time.Now(), Prompt: len(r.Prompt), MaxTokens: r.MaxTokens},
	}
	opt := r.Text
	opt.Stop = r.Stop
	t.text = s.m.NewText(r.Prompt, opt)
	if r.Presence != 0 || r.Frequency != 0 {
		t.count = map[int32]int{}
	}
	if r.Constraint != nil {
		t.words = make([]uint64, (s.m.Vocab()+63)/64)
	}
	if r.PromptLogprobs > 0 {
		t.prompt = []*Logprob{nil}
	}
	return t, nil
}

func (s *Scheduler) ring() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close takes no more requests, lets those that are there come to their ends, and returns; when ctx ends
// before, the rest ends with ErrClosed.
func (s *Scheduler) Close(ctx context.Context) {
	s.mu.Lock()
	s.closing = true
	s.ring()
	s.mu.Unlock()
	select {
	case <-s.ended:
		return
	case <-ctx.Done():
	}
	s.mu.Lock()
	s.abort = true
	s.ring()
	s.mu.Unlock()
	<-s.ended
}

func (s *Scheduler) loop() {
	defer close(s.ended)
	defer s.cache.clear()
	for {
		s.mu.Lock()
		for _, t := range s.arrived {
			s.queue.enter(t)
		}
		s.arrived = nil
		closing, abort := s.closing, s.abort
		s.mu.Unlock()
		s.reap(abort)
		s.report()
		if len(s.texts)+s.queue.len() == 0 {
			if closing {
				return
			}
			<-s.wake
			continue
		}
		if parts, texts := s.plan(); len(parts) > 0 {
			s.pass(parts, texts)
		}
	}
}

// report makes the counts known.
func (s *Scheduler) report() {
	var held int64
	for _, t := range s.texts {
		held += s.m.KVBytes(t.session.Len(), 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running, s.held = len(s.texts), held
	s.waiting = s.queue.len() + len(s.arrived)
}

// reap ends what is done, and what nobody waits for any more.
func (s *Scheduler) reap(abort bool) {
	check := func(t *text) bool {
		switch {
		case t.done():
		case abort:
			t.failed = ErrClosed
		case t.ctx.Err() != nil:
			t.failed = t.ctx.Err()
		}
		return t.done()
	}
	for _, t := range s.queue.all() {
		if check(t) {
			s.queue.remove(t)
			s.finish(t)
		}
	}
	s.texts = slices.DeleteFunc(s.texts, func(t *text) bool {
		if !check(t) {
			return false
		}
		s.finish(t)
		return true
	})
}

func (s *Scheduler) finish(t *text) {
	if t.failed != nil {
		t.stream.send(Event{ID: -1, Err: t.failed})
	}
	if t.session != nil {
		s.keep(t, t.session, t.session.Len())
		t.session = nil
	}
	t.times.Generated, t.times.Finish, t.times.Err = t.generated(), t.end, t.failed
	s.queue.leave(t.req.Key)
	s.opt.Observer.Done(&t.times)
	t.stream.cancel()
}

// salt is what a text's prefixes are kept under.
func (t *text) salt() string { return fmt.Sprintf("%d %s%s", len(t.req.Key), t.req.Key, t.req.Salt) }

// keep gives a session of the first n tokens of a text to the cache.
func (s *Scheduler) keep(t *text, session *lm.Session, n int) {
	if same := s.m.Program().SameUpTo(); same > 0 && len(t.req.Prompt) > same {
		n = 0
	} else if same > 0 {
		n = min(n, same)
	}
	if s.opt.NoCache || t.req.NoCache || n < block {
		session.Close()
		return
	}
	s.cache.keep(t.salt(), t.tokens[:n], session)
}

// plan chooses what the next pass reads.
func (s *Scheduler) plan() (parts []lm.Part, texts []*text) {
	add := func(t *text, n int) {
		p := lm.Part{Session: t.session, IDs: t.tokens[t.session.Len():][:n], End: s.end(t)}
		switch {
		case t.req.PromptLogprobs > 0 && t.session.Len() < len(t.req.Prompt):
			for i := range n {
				p.Rows = append(p.Rows, int32(i))
			}
		case n == t.pending():
			p.Rows = []int32{int32(n - 1)}
		}
		parts, texts = append(parts, p), append(texts, t)
	}
	for _, t := range s.texts {
		if t.decoding() {
			add(t, 1)
		}
	}
	left := min(s.pace.Rows(s.opt.TargetGap, len(parts)), s.rows-len(parts))
	for _, t := range s.texts {
		if n := s.piece(t, left); !t.decoding() && n > 0 {
			add(t, n)
			left -= n
		}
	}
	for left > 0 && len(s.texts) < s.opt.Texts {
		t := s.admit()
		if t == nil {
			break
		}
		n := s.piece(t, left)
		add(t, n)
		left -= n
	}
	return parts, texts
}

// end is the length of the append that the next piece of a text belongs to: the prompt, or one token.
func (s *Scheduler) end(t *text) int {
	if n := len(t.req.Prompt); t.session.Len() < n {
		return n
	}
	return 0
}

// promptBytes bounds the predictions that a pass with PromptLogprobs asks for, in bytes.
const promptBytes = 32 << 20

// piece is how many of a text's tokens the next pass reads, of left rows.
func (s *Scheduler) piece(t *text, left int) int {
	n := min(t.pending(), left)
	at, prompt := t.session.Len(), len(t.req.Prompt)
	if at < prompt { // what was generated is read apart: it was another append
		n = min(n, prompt-at)
		if at < t.branch {
			n = min(n, t.branch-at)
		}
		if t.req.PromptLogprobs > 0 {
			n = min(n, max(promptBytes/(4*s.m.Vocab()), 1))
		}
	} else if same := s.m.Program().SameUpTo(); same > 0 {
		n = min(n, max(same-at, 1))
	}
	return n
}

// admit takes the next text from the queue if there are pages for all of it; nil if not.
func (s *Scheduler) admit() *text {
	t := s.queue.next()
	if t == nil {
		return nil
	}
	if budget := s.m.KVMemory(); budget > 0 {
		need := s.m.KVBytes(len(t.tokens)+1+s.m.KVPage(), s.rows)
		for _, o := range s.texts { // what prompts half read are still to take, and a page for each that grows
			need += max(s.m.KVBytes(len(o.tokens)+1, min(o.pending(), s.rows))-s.m.KVBytes(o.session.Len(), 0), 0)
		}
		for s.m.KVUsed()+need > budget && s.cache.shrink() {
		}
		if s.m.KVUsed()+need > budget && len(s.texts) > 0 {
			return nil
		}
	}
	s.queue.remove(t)
	if t.session = s.prefix(t); t.session == nil {
		t.session, _ = s.m.NewSession()
	}
	s.place++
	t.place = s.place
	s.texts = append(s.texts, t)
	if t.times.Admitted.IsZero() {
		t.times.Admitted, t.times.Cached = time.Now(), t.session.Len()
		t.stream.mu.Lock()
		t.stream.cached = t.session.Len()
		t.stream.mu.Unlock()
		t.think()
	}
	return t
}

// prefix is a session that has read a beginning of the text already; nil for none.
func (s *Scheduler) prefix(t *text) *lm.Session {
	same := s.m.Program().SameUpTo()
	if s.opt.NoCache || t.req.NoCache || t.req.PromptLogprobs > 0 || same > 0 && len(t.req.Prompt) > same {
		return nil
	}
	session, known := s.cache.fork(t.salt(), t.tokens)
	t.branch = known
	hit := 0
	if session != nil {
		hit = session.Len()
	}
	s.opt.Observer.Prefix(len(t.tokens), hit)
	return session
}

// pass runs a planned pass and takes in its results.
func (s *Scheduler) pass(parts []lm.Part, texts []*text) {
	s.opt.Gate <- struct{}{}
	start := time.Now()
	err := s.step(parts, texts)
	took := time.Since(start)
	<-s.opt.Gate
	switch {
	case errors.Is(err, runtime.ErrKVMemory):
		s.makeRoom()
		return
	case err != nil && len(parts) > 1: // one of them is at fault: each alone
		for i := range parts {
			s.pass(parts[i:i+1], texts[i:i+1])
		}
		return
	case err != nil:
		texts[0].failed = err
		return
	}
	decode, prompt := 0, 0
	for i, p := range parts {
		t := texts[i]
		s.queue.charge(t.req.Key, len(p.IDs))
		if len(p.IDs) == 1 && t.generated() > 1 {
			decode++
		} else {
			prompt += len(p.IDs)
		}
		s.observe(t, start, took)
		if !s.opt.NoCache && t.session.Len() == len(t.req.Prompt) { // others that wait may begin alike
			if page := s.m.KVPage(); t.session.Len() >= page {
				s.keep(t, t.session.Fork(), t.session.Len()/page*page)
			}
		} else if n := t.session.Len(); n > 0 && n == t.branch { // the second that begins so: a third can go on from here
			s.keep(t, t.session.Fork(), n)
		}
	}
	s.pace.Saw(decode, prompt, took)
	s.opt.Observer.Pass(decode, prompt, took)
}

// observe tells the observer of a token that the last pass brought.
func (s *Scheduler) observe(t *text, start time.Time, took time.Duration) {
	if t.times.Last.Before(start) {
		return
	}
	if t.last.IsZero() {
		s.opt.Observer.First(t.times.Last.Sub(t.times.Arrived))
	} else {
		s.opt.Observer.Token(t.times.Last.Sub(t.last))
	}
	t.last = t.times.Last
}

// result is what one row of a pass brings.
type result struct {
	t      *text
	pos    int // of the token that the row predicts
	logits []float32
}

// step runs the pass. After an error nothing has changed.
func (s *Scheduler) step(parts []lm.Part, texts []*text) (err error) {
	defer guard(&err)
	at, whole := make([]int, len(parts)), 0
	for i, p := range parts {
		at[i] = p.Session.Len() + 1
		whole += len(p.Rows)
	}
	results := make([]result, 0, whole)
	return s.m.Step(context.Background(), parts, func(i int, row int32, logits []float32) {
		results = append(results, result{texts[i], at[i] + int(row), logits})
		if len(results) == whole {
			s.take(results)
		}
	})
}

// take uses the predictions, of different texts at once.
func (s *Scheduler) take(results []result) {
	var list [][]result
	for i := 0; i < len(results); {
		j := i
		for ; j < len(results) && results[j].t == results[i].t; j++ {
		}
		list = append(list, results[i:j])
		i = j
	}
	eos := s.m.Meta.Model.EOS
	par.For(s.m.Threads(), len(list), func(_, i int) {
		for _, r := range list[i] {
			r.see(eos)
		}
	})
}

// see uses one row's predictions.
func (r *result) see(eos []int) {
	t := r.t
	defer guard(&t.failed)
	if t.failed != nil {
		return
	}
	if t.req.PromptLogprobs > 0 {
		if x := r.logits[0]; math.IsNaN(float64(x)) {
			t.failed = sample.ErrNaN
			return
		}
		t.seePrompt(r.pos, r.logits)
	}
	if r.pos == len(t.tokens) {
		if err := t.choose(r.logits, eos); err != nil {
			t.failed = err
		}
	}
}

// makeRoom gives pages back after a pass has found none: of kept prefixes, else of the text admitted last.
func (s *Scheduler) makeRoom() {
	if s.cache.shrink() {
		return
	}
	last := slices.MaxFunc(s.texts, func(a, b *text) int { return int(int64(a.place - b.place)) })
	if len(s.texts) == 1 {
		last.failed = fmt.Errorf("%w, and no other text runs", runtime.ErrKVMemory)
		return
	}
	last.session.Close()
	last.session = nil
	last.times.Preempted++
	s.opt.Observer.Preempted()
	s.texts = slices.DeleteFunc(s.texts, func(t *text) bool { return t == last })
	s.queue.back = slices.Insert(s.queue.back, 0, last)
}
