package sched

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/lm/sample"
)

// seen counts what the observer is told.
type seen struct {
	unseen
	mu                    sync.Mutex
	preempted, hits, most int
	done                  []Times
}

func (o *seen) Pass(decode, prompt int, _ time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.most = max(o.most, decode+prompt)
}

func (o *seen) Preempted() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.preempted++
}

func (o *seen) Prefix(_, hit int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hits += hit
}

func (o *seen) Done(t *Times) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.done = append(o.done, *t)
}

func start(t *testing.T, m *lm.Model, opt Options) (*Scheduler, *seen) {
	o := &seen{}
	opt.Observer = o
	s := New(m, opt)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		s.Close(ctx)
		if used := m.KVUsed(); used != 0 {
			t.Errorf("%d bytes of pages are not given back", used)
		}
	})
	return s, o
}

// answer is a whole text.
type answer struct {
	ids    []int32
	lps    []float32
	text   string
	finish Finish
	cached int
	prompt []*Logprob
}

func (a *answer) String() string {
	return fmt.Sprintf("%v %x %q %s", a.ids, a.lps, a.text, a.finish)
}

func run(ctx context.Context, s *Scheduler, r *Request) (*answer, error) {
	st, err := s.Submit(ctx, r)
	if err != nil {
		return nil, err
	}
	return read(ctx, st)
}

// read takes a stream's events to the end.
func read(ctx context.Context, st *Stream) (*answer, error) {
	a := &answer{}
	for e := range st.Events(ctx) {
		if e.Err != nil {
			return a, e.Err
		}
		if e.ID >= 0 {
			a.ids = append(a.ids, e.ID)
		}
		if e.Logprob != nil {
			a.lps = append(a.lps, e.Logprob.Logprob)
			for _, t := range e.Logprob.Top {
				a.lps = append(a.lps, t.Logprob)
			}
		}
		if e.Prompt != nil {
			a.prompt = e.Prompt
		}
		a.text += e.Text
		a.finish = e.Finish
	}
	a.cached = st.Cached()
	return a, nil
}

func mustRun(t *testing.T, s *Scheduler, r *Request) *answer {
	t.Helper()
	a, err := run(t.Context(), s, r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// mixed are requests of many kinds; the prompts of each three begin alike.
func mixed(n int) (list []*Request) {
	for i := range n {
		r := &Request{MaxTokens: 8 + i%13, IgnoreEOS: true, Logprobs: 1 + i%3, Key: fmt.Sprint(i % 4)}
		if i%5 == 0 {
			r.MaxTokens = 125
		}
		for j := range 5 + (i*37)%150 {
			r.Prompt = append(r.Prompt, int32(3+(i/3*7+j*(3+i/3%5))%500))
		}
		if i%2 == 0 {
			r.Sample = sample.Options{Temperature: 1, TopP: 0.95, Seed: uint64(i)}
			r.Presence, r.Frequency = 0.3, 0.1
		}
		list = append(list, r)
	}
	return list
}

// TestInvariance: the same tokens, probabilities and texts alone, among 64 others, after prefixes that were kept,
// and after giving the pages back.
func TestInvariance(t *testing.T) {
	n := 64
	if lmtest.Slow() {
		n = 20
	}
	list := mixed(n)
	alone := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{Threads: 1})
	s, _ := start(t, alone, Options{NoCache: true})
	want := make([]string, len(list))
	for i, r := range list {
		want[i] = mustRun(t, s, r).String()
	}
	page := alone.KVBytes(1, 0)
	for name, c := range map[string]struct {
		memory int64 // pages; 0: any number
		gap    time.Duration
	}{
		"all at once": {0, 100 * time.Millisecond},
		"few pages":   {5, 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			m := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{Threads: 2, KVMemory: c.memory * page})
			s, o := start(t, m, Options{TargetGap: c.gap})
			check := func(i int, a *answer, err error) {
				if err != nil || a.String() != want[i] {
					t.Errorf("request %d: %v, %v\nalone: %s", i, a, err, want[i])
				}
			}
			var together []*Request // from their first pass on; each grows to two pages
			for i := 0; i < 20; i += 5 {
				together = append(together, list[i])
			}
			streams, err := s.SubmitAll(t.Context(), together)
			if err != nil {
				t.Fatal(err)
			}
			for k, st := range streams {
				a, err := read(t.Context(), st)
				check(5*k, a, err)
			}
			for range 2 { // from the second on with prefixes
				var wg sync.WaitGroup
				for i, r := range list {
					wg.Go(func() {
						a, err := run(t.Context(), s, r)
						check(i, a, err)
					})
				}
				wg.Wait()
			}
			o.mu.Lock()
			defer o.mu.Unlock()
			if c.memory == 0 && (o.hits == 0 || o.most < n/2) {
				t.Errorf("%d tokens from prefixes, %d rows in a pass at most: nothing was shared", o.hits, o.most)
			}
			if c.memory > 0 && o.preempted == 0 {
				t.Error("no text had to give its pages back")
			}
		})
	}
}

// TestWindows: of a model whose layers have windows, kept texts go on from where they end, and from where two have parted; the answers are
// those without any of it. Texts whose keys and values would not fit together fit, since little more than windows is kept.
func TestWindows(t *testing.T) {
	const window, common = 24, 304
	dir := lmtest.Windowed(t, window)
	alone := lmtest.Open(t, dir, "da8w4", runtime.Options{Threads: 1, Context: 1024})
	s, _ := start(t, alone, Options{NoCache: true})
	var list []*Request
	for i := range 3 {
		r := &Request{MaxTokens: 150, IgnoreEOS: true, Logprobs: 2}
		for j := range common + 330 {
			k := 3 + j*j%499
			if j >= common {
				k = 3 + (j*j+i*71)%499
			}
			r.Prompt = append(r.Prompt, int32(k))
		}
		list = append(list, r)
	}
	list = append(list, list[2])
	budget := alone.KVBytes(1024, 64)
	if full := alone.KVBytes(1, 0) * 8; budget >= full {
		t.Fatalf("1024 positions take %d bytes, without windows %d", budget, full)
	}
	m := lmtest.Open(t, dir, "da8w4", runtime.Options{Threads: 2, Context: 1024, Batch: 64, KVMemory: 4 * budget})
	cached, _ := start(t, m, Options{})
	small := lmtest.Open(t, dir, "da8w4", runtime.Options{Threads: 2, Context: 1024, Batch: 64, KVMemory: budget})
	tight, _ := start(t, small, Options{})
	for i, want := range []int{0, 0, common, 624} { // the last is the third again
		alone := mustRun(t, s, list[i]).String()
		a := mustRun(t, cached, list[i])
		if a.String() != alone || a.cached != want {
			t.Errorf("request %d: %d tokens were kept, want %d: %v\nalone: %v", i, a.cached, want, a, alone)
		}
		if a := mustRun(t, tight, list[i]); a.String() != alone {
			t.Errorf("request %d with few pages: %v\nalone: %v", i, a, alone)
		}
	}
}

// TestSameAsGenerate: the scheduler gives what lm.Session.Generate gives.
func TestSameAsGenerate(t *testing.T) {
	m := lmtest.Load(t, "da8w8")
	s, _ := start(t, m, Options{})
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	for _, opt := range []lm.GenerateOptions{
		{MaxTokens: 40}, {MaxTokens: 40, Sample: sample.Options{Temperature: 1, Seed: 5}}, {Stop: []string{"lit"}, MaxTokens: 60}, {},
	} {
		var want string
		for step, err := range m.Generate(t.Context(), "Once upon a time", opt) {
			if err != nil {
				t.Fatal(err)
			}
			want += step.Text
		}
		a := mustRun(t, s, &Request{Prompt: lmtest.Encode(t, tok, "Once upon a time", true), MaxTokens: opt.MaxTokens, Sample: opt.Sample, Stop: opt.Stop})
		if a.text != want {
			t.Errorf("%+v: %q, want %q", opt, a.text, want)
		}
	}
}

// TestPromptLogprobs: those of the prompt are what Forward predicts, and the alternatives are sorted.
func TestPromptLogprobs(t *testing.T) {
	m := lmtest.Load(t, "f32")
	s, _ := start(t, m, Options{TargetGap: time.Millisecond})
	ids := []int32{1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 268, 414, 422, 395, 405, 426, 346, 401, 396, 267}
	a := mustRun(t, s, &Request{Prompt: ids, MaxTokens: 1, PromptLogprobs: 4, Logprobs: 1})
	logits, err := m.Forward(t.Context(), ids)
	if err != nil {
		t.Fatal(err)
	}
	if len(a.prompt) != len(ids) || a.prompt[0] != nil {
		t.Fatalf("%d of %d tokens have probabilities", len(a.prompt), len(ids))
	}
	for i, lp := range a.prompt[1:] {
		row := logits[i*m.Vocab():][:m.Vocab()]
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(float64(l))
		}
		want := float64(row[ids[i+1]]) - math.Log(sum)
		if lp.ID != ids[i+1] || math.Abs(float64(lp.Logprob)-want) > 1e-5 || len(lp.Top) != 3 {
			t.Errorf("token %d: %+v, want %v", i+1, lp, want)
		}
		if !slices.IsSortedFunc(lp.Top, func(a, b TokenLogprob) int { return int(math.Copysign(1, float64(b.Logprob-a.Logprob))) }) || slices.Max(row) != row[lp.Top[0].ID] {
			t.Errorf("token %d: %+v is not sorted", i+1, lp.Top)
		}
	}
}

// TestCancel: a text whose client leaves ends within a pass, and gives its pages back but for what is kept.
func TestCancel(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	s, o := start(t, m, Options{NoCache: true})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	st, err := s.Submit(ctx, &Request{Prompt: []int32{1, 403}, IgnoreEOS: true})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e := range st.Events(ctx) {
		if n++; n == 3 {
			cancel()
		}
		if n > 3 && e.Err == nil && e.Finish != "" {
			t.Skip("the text was faster than its end")
		}
	}
	for range 500 {
		if l := s.Load(); l == (Load{}) && m.KVUsed() == 0 {
			o.mu.Lock()
			defer o.mu.Unlock()
			if len(o.done) != 1 || !errors.Is(o.done[0].Err, context.Canceled) {
				t.Errorf("%+v", o.done)
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("still there: %+v", s.Load())
}

// TestQueue: more than the queue holds is refused, at once; a shut scheduler takes nothing, and ends in time.
func TestQueue(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	s, _ := start(t, m, Options{Texts: 1, Queue: 2})
	var errs []error
	for range 12 {
		if _, err := s.Submit(t.Context(), &Request{Prompt: []int32{1}, IgnoreEOS: true}); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) < 8 || !errors.Is(errs[0], ErrBusy) {
		t.Errorf("of twelve requests %d were refused: %v", len(errs), errs)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.Close(ctx)
	if _, err := s.Submit(t.Context(), &Request{Prompt: []int32{1}}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	for _, c := range []struct {
		r    Request
		want string
	}{
		{Request{}, "no tokens"},
		{Request{Prompt: make([]int32, 600)}, "does not fit"},
		{Request{Prompt: []int32{512}}, "vocabulary has 512"},
		{Request{Prompt: []int32{1}, Bias: map[int32]float32{-1: 1}}, "bias of token -1"},
		{Request{Prompt: []int32{1}, StopIDs: []int32{1 << 20}}, "stop token"},
		{Request{Prompt: []int32{1}, Sample: sample.Options{TopP: 2}}, "top-p"},
	} {
		if _, err := s.Submit(t.Context(), &c.r); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}

// broken is a constraint that allows multiples of three, then fails in some way.
type broken struct{ how string }

func (b *broken) Mask(m []uint64) error {
	clear(m)
	switch b.how {
	case "panic":
		panic("on purpose")
	case "error":
		return errors.New("on purpose")
	case "none":
		return nil
	}
	for i := 0; i < 512; i += 3 {
		m[i/64] |= 1 << (i % 64)
	}
	return nil
}

func (b *broken) Accept(id int32) error {
	if id%3 != 0 {
		return fmt.Errorf("token %d", id)
	}
	return nil
}

func (b *broken) Done() bool { return b.how == "complete" }

// TestOneFails: what goes wrong in one text ends it and leaves the others alone.
func TestOneFails(t *testing.T) {
	m := lmtest.Load(t, "da8w4")
	s, _ := start(t, m, Options{})
	want := mustRun(t, s, &Request{Prompt: []int32{1, 403}, MaxTokens: 30, IgnoreEOS: true}).text
	var wg sync.WaitGroup
	for how, end := range map[string]string{"panic": "internal error: on purpose", "error": "on purpose", "none": "none of the 512 tokens", "": "", "complete": ""} {
		wg.Go(func() {
			a, err := run(t.Context(), s, &Request{Prompt: []int32{1}, MaxTokens: 20, IgnoreEOS: true, Constraint: &broken{how}})
			if (err == nil) != (end == "") || err != nil && !strings.Contains(err.Error(), end) {
				t.Errorf("%s: %v, want %q", how, err, end)
			}
			if n := map[string]int{"": 20, "complete": 1}[how]; len(a.ids) != n {
				t.Errorf("%s: %d tokens, want %d", how, len(a.ids), n)
			}
		})
		wg.Go(func() {
			a, err := run(t.Context(), s, &Request{Prompt: []int32{1, 403}, MaxTokens: 30, IgnoreEOS: true})
			if err != nil || a.text != want {
				t.Errorf("beside %q: %v, %v", how, a, err)
			}
		})
	}
	wg.Wait()
}

// TestEnds: of each way to end, the reason and the text.
func TestEnds(t *testing.T) {
	m := lmtest.Load(t, "f32")
	s, _ := start(t, m, Options{})
	prompt := []int32{1, 403, 407, 261, 378}
	whole := mustRun(t, s, &Request{Prompt: prompt, MaxTokens: 60, IgnoreEOS: true})
	eos := int32(m.Meta.Model.EOS[0])
	for name, c := range map[string]struct {
		r      Request
		finish Finish
		n      int // tokens; 0: not told
		text   string
	}{
		"length":    {Request{MaxTokens: 4}, FinishLength, 4, ""},
		"context":   {Request{IgnoreEOS: true}, FinishLength, m.Context() - len(prompt) + 1, ""},
		"end":       {Request{MaxTokens: 9, Bias: map[int32]float32{eos: 100}}, FinishStop, 1, ""},
		"not yet":   {Request{MaxTokens: 9, MinTokens: 3, Bias: map[int32]float32{eos: 100}}, FinishStop, 4, ""},
		"stop id":   {Request{MaxTokens: 60, StopIDs: whole.ids[7:8]}, FinishStop, 1 + slices.Index(whole.ids, whole.ids[7]), ""},
		"stop":      {Request{MaxTokens: 60, Stop: []string{whole.text[9:12]}}, FinishStop, 0, whole.text[:9]},
		"stop with": {Request{MaxTokens: 60, Stop: []string{whole.text[9:12]}, Text: lm.TextOptions{Include: true}}, FinishStop, 0, whole.text[:12]},
	} {
		c.r.Prompt = prompt
		a := mustRun(t, s, &c.r)
		if a.finish != c.finish || c.n > 0 && len(a.ids) != c.n || c.text != "" && a.text != c.text {
			t.Errorf("%s: %d tokens, %q, %s; want %d, %q, %s", name, len(a.ids), a.text, a.finish, c.n, c.text, c.finish)
		}
	}
}

// TestPinnedRoom: a text that has no room beside what is pinned is refused, not begun.
func TestPinnedRoom(t *testing.T) {
	page := lmtest.Load(t, "da8w4").KVBytes(1, 0)
	m := lmtest.Open(t, lmtest.Checkpoint, "da8w4", runtime.Options{KVMemory: 4 * page})
	p := Pinned{Tokens: make([]int32, m.KVPage()+1)}
	p.Session, _ = m.NewSession()
	if _, err := p.Session.Append(t.Context(), p.Tokens); err != nil {
		t.Fatal(err)
	}
	s, _ := start(t, m, Options{Pinned: []Pinned{p}})
	if _, err := s.Submit(t.Context(), &Request{Prompt: slices.Repeat([]int32{1}, 2*m.KVPage()+1)}); !errors.Is(err, ErrContext) {
		t.Errorf("two pages are free, three are wanted: %v", err)
	}
	if a := mustRun(t, s, &Request{Prompt: slices.Repeat([]int32{1}, m.KVPage()+1), IgnoreEOS: true}); len(a.ids) != m.KVPage() {
		t.Errorf("of the two pages %d positions were written behind the prompt", len(a.ids))
	}
}

// TestFairness: one key with many requests does not keep another's waiting behind all of them.
func TestFairness(t *testing.T) {
	f := newFair()
	order := uint64(0)
	enter := func(key string) {
		order++
		f.enter(&text{req: &Request{Key: key}, order: order})
	}
	for range 5 {
		enter("a")
	}
	enter("b")
	var got string
	for f.len() > 0 {
		n := f.next()
		f.remove(n)
		f.charge(n.req.Key, 10)
		got += n.req.Key
	}
	if got != "abaaaa" {
		t.Errorf("served %s, want abaaaa", got)
	}
	f.charge("a", 1000)
	enter("c") // begins where the least is, not at nothing
	if f.served["c"] != f.served["b"] {
		t.Errorf("a new key starts at %v", f.served["c"])
	}
	for _, p := range []int{1, 0, 1, -1} {
		f.enter(&text{req: &Request{Key: "d", Priority: p}})
	}
	for i, want := range []int{-1, 0, 1, 1} {
		if got := f.queues["d"][i].req.Priority; got != want {
			t.Errorf("place %d of a key has the priority %d, want %d", i, got, want)
		}
	}
}
