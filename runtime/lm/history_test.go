package lm_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"qpt/runtime"
	"qpt/runtime/lm"
	"qpt/runtime/lm/lmtest"
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
				if !testing.Short() && met[what] == 0 {
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

// machine is a model and its storage of keys and values: two workers, passes of 16 rows, and room for
// four pages a layer.
type machine struct {
	*lm.Model
	name  string
	alone *lm.Model // one worker, one pass

	mu   sync.Mutex
	seen map[string][]float32 // what alone gave
}

// open starts an empty session.
func (m *machine) open() *lm.Session {
	s, err := m.NewSession()
	if err != nil {
		panic(err)
	}
	return s
}

// want is what alone gives after ids.
func (m *machine) want(ids []int32) ([]float32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := fmt.Sprint(ids)
	if y := m.seen[key]; y != nil {
		return y, nil
	}
	s, err := m.alone.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	y, err := s.Append(context.Background(), ids)
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
	seq  *lm.Session
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
	for i := range min(n, h.m.Context()-len(x.ids)) {
		v := uint32(len(x.ids)+i+1)*2654435761 + uint32(x.salt)*40503
		ids = append(ids, int32(v>>7)%int32(h.m.Vocab()))
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
				h.live = append(h.live, &member{x.seq.Fork(), slices.Clone(x.ids), h.byte()})
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
			if x.seq.Len() == 0 && n > 0 { // layers have given up what lies before
				h.met["gone"]++
				n = 0
			}
			x.ids, x.salt = x.ids[:n:n], h.byte()
		case 7:
			x := h.pick()
			b, err := x.seq.AppendBinary(nil)
			if err != nil {
				h.t.Fatalf("%s: %v", h.what, err)
			}
			s := h.m.open()
			err = s.Restore(b)
			x.seq.Close()
			x.seq = s
			if errors.Is(err, runtime.ErrKVMemory) {
				h.evict(x)
			} else if err != nil {
				h.t.Fatalf("%s: %v", h.what, err)
			}
			h.met["restore"]++
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
				both.Go(func() { errs[i] = h.m.AppendAll(h.t.Context(), pieces(list)) })
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

func pieces(list []share) (ps []lm.Append) {
	for _, l := range list {
		if len(l.ids) > 0 {
			ps = append(ps, lm.Append{Session: l.x.seq, IDs: l.ids})
		}
	}
	return ps
}

// append runs pieces together and looks at what came of it.
func (h *history) append(ctx context.Context, list []share) {
	h.t.Helper()
	if h.done(list, h.m.AppendAll(ctx, pieces(list))) {
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

// machineNames are checkpoint, scheme, storage of keys and values.
var machineNames = []string{
	"stories260K da8w4 bf16", "stories260K da8w8 int8", "stories260K f32 f32",
	"llama-variants/llama3-bias-untied a16w4 int8",
	"families/gemma2 da8w4 bf16 420", // every second layer has a window, and gives up what lies before
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
		m, err := newMachine(machineNames[len(machines.list)])
		if err != nil {
			t.Fatal(err)
		}
		machines.list = append(machines.list, m)
	}
	return machines.list
}

func newMachine(name string) (*machine, error) {
	var checkpoint, scheme, kv string
	positions := 150 // more than a page
	fmt.Sscan(name, &checkpoint, &scheme, &kv, &positions)
	path, err := lmtest.Convert(lmtest.Root+"/testdata/"+checkpoint, scheme)
	if err != nil {
		return nil, err
	}
	m := &machine{name: name, seen: map[string][]float32{}}
	opt := runtime.Options{Threads: 1, KV: kv, Context: positions}
	if m.alone, err = lm.Load(path, opt); err != nil {
		return nil, err
	}
	s, err := m.alone.NewSession()
	if err != nil {
		return nil, err
	}
	defer s.Close()
	if _, err := s.Append(context.Background(), []int32{1}); err != nil {
		return nil, err
	}
	opt.Threads, opt.Batch, opt.KVMemory = 2, 16, 4*m.alone.KVUsed()
	m.Model, err = lm.Load(path, opt)
	return m, err
}
