package lm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qpt/convert/hf"
	"qpt/convert/safetensors"
	"qpt/format/graph"
	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
	"qpt/runtime/ref"
)

// FuzzHistories: whatever happens to sequences, each has the bits that it has alone in one piece
// (numerics N7). A history is a string of bytes: the first chooses a machine, the others say what
// happens to up to five sequences of it (history.play). With -race TestHistories is the test of
// everything that sequences share; testdata/fuzz holds seeds.
//
//	go test -fuzz FuzzHistories -fuzztime 1h ./runtime/lm
//	QPT_HISTORIES=1h go test -race -timeout 0 -run TestHistories ./runtime/lm    # other ones, without a limit for each
func FuzzHistories(f *testing.F) {
	f.Add([]byte("\x00 append, fork, truncate, save, cancel, evict"))
	machines := theMachines(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < 2 {
			return
		}
		m := machines[int(data[0])%len(machines)]
		h := &history{t: t, m: m, data: data[1:min(len(data), 120)], met: map[string]int{}}
		h.play()
	})
}

// TestHistories plays random ones, and sees that what they are there for comes to pass; QPT_HISTORIES
// is a duration for histories that no one has played before.
func TestHistories(t *testing.T) {
	n := 12
	if testing.Short() {
		n = 4
	}
	if d, err := time.ParseDuration(os.Getenv("QPT_HISTORIES")); err == nil {
		played, machines := 0, theMachines(t)
		for start := time.Now(); time.Since(start) < d && !t.Failed(); played++ {
			i, seed := played%len(machines), rand.Uint64()
			t.Run(fmt.Sprintf("%d-%d", i, seed), func(t *testing.T) { playSeed(t, machines[i], seed, uint64(i), map[string]int{}) })
		}
		t.Logf("%d histories", played)
		return
	}
	for i, m := range theMachines(t) {
		t.Run(m.name, func(t *testing.T) {
			met := map[string]int{}
			for seed := range n {
				playSeed(t, m, uint64(seed), uint64(i), met)
			}
			t.Log(met)
			for _, what := range []string{"batch", "end", "fork", "cut", "restore", "evict", "recompute", "together"} {
				if !testing.Short() && met[what] == 0 && !(strings.HasSuffix(m.name, "ref") && (what == "restore" || what == "evict")) {
					t.Errorf("%q happened %d times in %d histories", what, met[what], n)
				}
			}
		})
	}
}

// playSeed plays a random history and counts what happened in it.
func playSeed(t *testing.T, m *machine, seed, stream uint64, met map[string]int) {
	t.Helper()
	data := make([]byte, 110)
	rng := rand.New(rand.NewPCG(seed, stream))
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	h := &history{t: t, m: m, data: data, met: met}
	h.play()
}

// machine is what runs sequences: an executor, its weights and its storage of keys and values.
type machine struct {
	name string
	open func() sequence
	// append runs pieces together in passes of a few rows; those of finished passes stay in their sequences after an error.
	append func(ctx context.Context, list []piece) error
	alone  func(ids []int32) ([]float32, error) // logits after the last of ids, in one pass

	vocab, limit int

	mu   sync.Mutex
	seen map[string][]float32 // what alone gave
}

// sequence is a session of either executor.
type sequence interface {
	Len() int
	Truncate(n int)
	Close()
	Logits() []float32
	fork() sequence
	saved() (sequence, error) // restored from its bytes; itself where the executor saves none
}

type piece struct {
	seq sequence
	ids []int32
}

// want is alone's result, remembered.
func (m *machine) want(ids []int32) ([]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprint(ids)
	if y := m.seen[key]; y != nil {
		return y, nil
	}
	y, err := m.alone(ids)
	if len(m.seen) > 2000 {
		clear(m.seen)
	}
	m.seen[key] = slices.Clone(y)
	return y, err
}

// history is one run of a machine.
type history struct {
	t    *testing.T
	m    *machine
	data []byte
	live []*member
	what string // the step, for messages
	met  map[string]int
}

// member is a sequence and the tokens that it must hold. salt makes the tokens that come next.
type member struct {
	seq  sequence
	ids  []int32
	salt byte
}

// byte takes the next one; at the end it is 0 and play stops.
func (h *history) byte() byte {
	if len(h.data) == 0 {
		return 0
	}
	b := h.data[0]
	h.data = h.data[1:]
	return b
}

// pick takes a member.
func (h *history) pick() *member { return h.live[int(h.byte())%len(h.live)] }

// next are the n tokens that come after those of x.
func (h *history) next(x *member, n int) (ids []int32) {
	for i := range min(n, h.m.limit-len(x.ids)) {
		v := uint32(len(x.ids)+i+1)*2654435761 + uint32(x.salt)*40503
		ids = append(ids, int32(v>>7)%int32(h.m.vocab))
	}
	return ids
}

// lengths of pieces: mostly a token, sometimes more than a pass.
var lengths = []int{1, 1, 1, 2, 3, 5, 8, 16, 17, 31, 32, 33, 64}

func (h *history) play() {
	defer func() {
		for _, x := range h.live {
			x.seq.Close()
		}
	}()
	h.live = []*member{{seq: h.m.open(), salt: h.byte()}}
	for step := 0; len(h.data) > 0 && step < 40 && !h.t.Failed(); step++ {
		op := h.byte() % 12
		h.what = fmt.Sprintf("%s, step %d, op %d", h.m.name, step, op)
		switch op {
		case 0, 1, 2: // pieces of any length for some, in one batch
			h.append(h.t.Context(), h.some())
		case 3: // a token for each, thrice
			for range 3 {
				var list []share
				for _, x := range h.live {
					list = append(list, share{x, h.next(x, 1)})
				}
				h.append(h.t.Context(), list)
			}
		case 4:
			x := h.pick()
			if len(h.live) < 5 {
				h.met["fork"]++
				h.live = append(h.live, &member{x.seq.fork(), slices.Clone(x.ids), h.byte()})
			}
		case 5, 6:
			x := h.pick()
			n := int(h.byte()) % (len(x.ids) + 1)
			if op == 6 { // a few
				n = max(0, len(x.ids)-n%8)
			}
			if n < len(x.ids) {
				h.met["cut"]++
			}
			x.seq.Truncate(n)
			x.ids, x.salt = x.ids[:n:n], h.byte()
		case 7:
			x := h.pick()
			s, err := x.seq.saved()
			if errors.Is(err, runtime.ErrKVMemory) {
				s.Close()
				h.evict(x)
				continue
			}
			if err != nil {
				h.t.Fatalf("%s: %v", h.what, err)
			}
			if s != x.seq {
				x.seq.Close()
				h.met["restore"]++
			}
			x.seq = s
		case 8: // the context ends somewhere
			ctx := &ending{Context: h.t.Context()}
			ctx.left.Store(int64(h.byte()))
			h.append(ctx, h.some())
		case 9: // evict, and recompute in other pieces
			x := h.pick()
			ids := x.ids
			if len(ids) > 0 {
				h.met["recompute"]++
			}
			x.seq.Close()
			x.seq, x.ids = h.m.open(), nil
			for len(ids) > 0 && len(x.ids) < len(ids) && !h.t.Failed() {
				n := min(lengths[int(h.byte())%len(lengths)]*4, len(ids)-len(x.ids))
				before := len(x.ids)
				h.append(h.t.Context(), []share{{x, ids[before : before+n]}})
				if len(x.ids) == before {
					break // no memory
				}
			}
		case 10: // two goroutines
			var lists [2][]share
			for i, l := range h.some() {
				lists[i%2] = append(lists[i%2], l)
			}
			if len(pieces(lists[0])) > 0 && len(pieces(lists[1])) > 0 {
				h.met["together"]++
			}
			var both sync.WaitGroup
			var errs [2]error
			for i, list := range lists {
				both.Go(func() { errs[i] = h.m.append(h.t.Context(), pieces(list)) })
			}
			both.Wait()
			short := h.done(lists[0], errs[0])
			if h.done(lists[1], errs[1]) || short {
				h.evictLongest()
			}
		case 11: // one goes, one comes
			x := h.pick()
			x.seq.Close()
			*x = member{seq: h.m.open(), salt: h.byte()}
		}
	}
}

// share is what a member is to read next.
type share struct {
	x   *member
	ids []int32
}

// some chooses pieces for some of the members.
func (h *history) some() (list []share) {
	mask := h.byte()
	for i, x := range h.live {
		if mask>>i&1 == 0 {
			list = append(list, share{x, h.next(x, lengths[int(h.byte())%len(lengths)])})
		}
	}
	return list
}

func pieces(list []share) (ps []piece) {
	for _, l := range list {
		if len(l.ids) > 0 {
			ps = append(ps, piece{l.x.seq, l.ids})
		}
	}
	return ps
}

// append runs pieces together and looks at what came of it.
func (h *history) append(ctx context.Context, list []share) {
	h.t.Helper()
	if h.done(list, h.m.append(ctx, pieces(list))) {
		h.evictLongest()
	}
}

// done holds each member against its tokens alone in one piece, and tells whether memory was short.
func (h *history) done(list []share, err error) bool {
	h.t.Helper()
	if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, runtime.ErrKVMemory) {
		h.t.Fatalf("%s: %v", h.what, err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		h.met["end"]++
	}
	if len(list) > 1 {
		h.met["batch"]++
	}
	for _, l := range list {
		all := append(slices.Clone(l.x.ids), l.ids...)
		n := l.x.seq.Len()
		if n < len(l.x.ids) || n > len(all) || err == nil && n != len(all) {
			h.t.Fatalf("%s: %d tokens in the sequence, %d before, %d were added: %v", h.what, n, len(l.x.ids), len(l.ids), err)
		}
		l.x.ids = all[:n:n]
		if len(l.ids) == 0 || n < len(all) {
			continue
		}
		want, err := h.m.want(all)
		if err != nil {
			h.t.Fatalf("%s: alone: %v", h.what, err)
		}
		lmtest.Same(h.t, fmt.Sprintf("%s, %d tokens", h.what, n), l.x.seq.Logits(), want)
	}
	return errors.Is(err, runtime.ErrKVMemory)
}

func (h *history) evictLongest() {
	h.evict(slices.MaxFunc(h.live, func(a, b *member) int { return len(a.ids) - len(b.ids) }))
}

// evict empties a member.
func (h *history) evict(x *member) {
	h.met["evict"]++
	x.seq.Close()
	x.seq, x.ids = h.m.open(), nil
}

// machineNames are checkpoint, scheme, storage of keys and values; "ref" is the FP32 executor.
var machineNames = []string{
	"stories260K da8w4 bf16", "stories260K da8w8 int8", "stories260K f32 f32",
	"llama-variants/llama3-bias-untied a16w4 int8", "stories260K ref",
}

var machines struct {
	sync.Mutex
	list []*machine
}

// theMachines makes them once; they live as long as the test binary.
func theMachines(t testing.TB) []*machine {
	t.Helper()
	machines.Lock()
	defer machines.Unlock()
	for len(machines.list) < len(machineNames) {
		var checkpoint, scheme, kv string
		fmt.Sscan(machineNames[len(machines.list)], &checkpoint, &scheme, &kv)
		dir := lmtest.Root + "/testdata/" + checkpoint
		var m *machine
		var err error
		if scheme == "ref" {
			m, err = refMachine(dir)
		} else {
			m, err = execMachine(dir, scheme, kv)
		}
		if err != nil {
			t.Fatal(err)
		}
		m.name, m.seen = machineNames[len(machines.list)], map[string][]float32{}
		machines.list = append(machines.list, m)
	}
	return machines.list
}

// execMachine has two workers, passes of 16 rows and room for four pages of keys and values a layer.
func execMachine(dir, scheme, kv string) (*machine, error) {
	path, err := lmtest.Convert(dir, scheme)
	if err != nil {
		return nil, err
	}
	limit := 150 // more than a page
	alone, err := lm.Load(path, runtime.Options{Threads: 1, KV: kv, Context: limit})
	if err != nil {
		return nil, err
	}
	s, err := alone.NewSession()
	if err != nil {
		return nil, err
	}
	if _, err := s.Append(context.Background(), []int32{1}); err != nil {
		return nil, err
	}
	page := alone.KVUsed()
	s.Close()
	m, err := lm.Load(path, runtime.Options{Threads: 2, KV: kv, Context: limit, Batch: 16, KVMemory: 4 * page})
	if err != nil {
		return nil, err
	}
	return &machine{
		vocab: m.Vocab(), limit: limit,
		open: func() sequence { return &execSequence{m, mustSession(m)} },
		append: func(ctx context.Context, list []piece) error {
			var all []lm.Append
			for _, p := range list {
				all = append(all, lm.Append{Session: p.seq.(*execSequence).Session, IDs: p.ids})
			}
			return m.AppendAll(ctx, all)
		},
		alone: func(ids []int32) ([]float32, error) {
			s := mustSession(alone)
			defer s.Close()
			return s.Append(context.Background(), ids)
		},
	}, nil
}

func mustSession(m *lm.Model) *lm.Session {
	s, err := m.NewSession()
	if err != nil {
		panic(err)
	}
	return s
}

type execSequence struct {
	m *lm.Model
	*lm.Session
}

func (s *execSequence) fork() sequence { return &execSequence{s.m, s.Session.Fork()} }

func (s *execSequence) saved() (sequence, error) {
	b, err := s.AppendBinary(nil)
	if err != nil {
		return nil, err
	}
	c := mustSession(s.m)
	return &execSequence{s.m, c}, c.Restore(b)
}

// refMachine cuts what it is given into passes of 16 rows itself.
func refMachine(dir string) (*machine, error) {
	model, err := hf.Load(dir)
	if err != nil {
		return nil, err
	}
	src, err := safetensors.Open(dir)
	if err != nil {
		return nil, err
	}
	g := model.Graph
	pass := func(ctx context.Context, list []*refSequence, ids [][]int32) error {
		b := &graph.Batch{}
		var all []int32
		for i, s := range list {
			b.Parts = append(b.Parts, graph.Part{Seq: s.Sequence, N: len(ids[i]), Rows: []int32{int32(len(ids[i]) - 1)}})
			all = append(all, ids[i]...)
		}
		b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(all)}, I: all}}
		out, err := ref.Run(ctx, g, src, b, ref.Options{})
		if err != nil {
			return err
		}
		for i, s := range list {
			s.logits = slices.Clone(out[0].Row(i))
		}
		return nil
	}
	open := func() *refSequence { return &refSequence{ref.NewSequence(g), nil} }
	return &machine{
		vocab: model.Vocab, limit: 60,
		open: func() sequence { return open() },
		append: func(ctx context.Context, list []piece) error {
			for len(list) > 0 {
				var seqs []*refSequence
				var ids [][]int32
				var rest []piece
				for i, room := 0, 16; i < len(list); i++ {
					n := min(len(list[i].ids), room)
					if room -= n; n > 0 {
						seqs, ids = append(seqs, list[i].seq.(*refSequence)), append(ids, list[i].ids[:n])
					}
					if n < len(list[i].ids) {
						rest = append(rest, piece{list[i].seq, list[i].ids[n:]})
					}
				}
				if err := pass(ctx, seqs, ids); err != nil {
					return err
				}
				list = rest
			}
			return nil
		},
		alone: func(ids []int32) ([]float32, error) {
			s := open()
			err := pass(context.Background(), []*refSequence{s}, [][]int32{ids})
			return s.logits, err
		},
	}, nil
}

type refSequence struct {
	*ref.Sequence
	logits []float32
}

func (s *refSequence) Logits() []float32        { return s.logits }
func (s *refSequence) Close()                   {}
func (s *refSequence) fork() sequence           { return &refSequence{s.Sequence.Fork(), nil} }
func (s *refSequence) saved() (sequence, error) { return s, nil }
