package exec

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"qpt/format/graph"
	"qpt/kernels/attn"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// The metamorphic test of sequences: whatever happens to them, each gives the bits of
// its tokens run alone, in one piece, by the same executor. A history is a string of
// bytes: what it drives is told at history.step. TestHistories runs random ones (for QPT_HISTORIES, say 1h, if that is
// set), FuzzHistory those that the fuzzer thinks of; finds stay in testdata/fuzz.

// sequence is what both executors' sequences do.
type sequence interface {
	Len() int
	Truncate(n int)
}

// player is an executor with a graph and weights.
type player interface {
	start() sequence
	fork(s sequence) sequence
	reload(t testing.TB, s sequence) sequence // from its bytes
	close(s sequence)
	pass(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error)
	full(err error) bool // says that pages were short
}

// fast is this executor.
type fast struct {
	p    *Program
	ws   *Workspace
	pool *attn.Pool
	kv   attn.KVType
}

func (f *fast) start() sequence          { return f.p.NewSequence(f.pool, f.kv, historyContext) }
func (f *fast) fork(s sequence) sequence { return s.(*Sequence).Fork() }
func (f *fast) close(s sequence)         { s.(*Sequence).Close() }
func (f *fast) full(err error) bool      { return errors.Is(err, attn.ErrBudget) }
func (f *fast) pass(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error) {
	return f.p.Run(ctx, f.ws, b)
}

func (f *fast) reload(t testing.TB, s sequence) sequence {
	b, err := s.(*Sequence).AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	f.close(s)
	n := f.start()
	if err := n.(*Sequence).Restore(b); err != nil && (!f.full(err) || n.Len() != 0) {
		t.Fatal(err)
	}
	return n
}

// plain is the FP32 executor. It has no bytes to save.
type plain struct {
	g *graph.Graph
	x tensors
}

func (p *plain) start() sequence                          { return ref.NewSequence(p.g) }
func (p *plain) fork(s sequence) sequence                 { return s.(*ref.Sequence).Fork() }
func (p *plain) reload(_ testing.TB, s sequence) sequence { return p.fork(s) }
func (p *plain) close(sequence)                           {}
func (p *plain) full(error) bool                          { return false }
func (p *plain) pass(ctx context.Context, b *graph.Batch) ([]graph.Tensor, error) {
	return ref.Run(ctx, p.g, p.x, b, ref.Options{Threads: 2, Dot: linear.MatMul()})
}

// historyContext is the most positions of a sequence: beyond two pages, and a layer with a window gives the first one up.
const historyContext = 2*attn.PageLen + 80

// historyModel is a small decoder: one windowed layer, one that sees all, grouped heads, and latent attention;
// a rotation with dynamic scaling, every scheme somewhere.
func historyModel(t testing.TB) (*graph.Graph, tensors, *weights) {
	const w = 32
	b := newBuilder(11)
	h := b.embed("h", w)
	for l, window := range []int{40, 0} {
		at := fmt.Sprintf("l%d.", l)
		n := b.norm(at+"n", h, w)
		rope := graph.RoPE{HeadDim: 16, Rotary: 16, Pairing: "half", Scale: 1, Dynamic: &graph.DynamicRoPE{Theta: 100, Factor: 2, MaxPos: attn.PageLen + 9}}
		if l == 0 {
			rope.Dynamic = nil
		}
		for i := range 8 {
			rope.Freqs = append(rope.Freqs, float64(float32(math.Pow(100, -float64(i)/8))))
		}
		q := b.Node(at+"q_rope", rope, []string{b.linear(at+"q", n, w, w), b.pos})
		k := b.Node(at+"k_rope", rope, []string{b.linear(at+"k", n, 16, w), b.pos})
		a := b.Node(at+"attn", graph.Attention{Heads: 2, KVHeads: 1, HeadDim: 16, Scale: 0.25, Mask: graph.Mask{Kind: "causal", Window: window}, Cache: at + "attn"},
			[]string{q, k, b.linear(at+"v", n, 16, w), b.pos})
		h = b.Binary(at+"r", "add", h, b.linear(at+"o", a, w, w))
		n = b.norm(at+"n2", h, w)
		gate := b.Node(at+"act", graph.Unary{Func: "silu"}, []string{b.linear(at+"gate", n, 48, w)})
		m := b.Binary(at+"m", "mul", gate, b.linear(at+"up", n, 48, w))
		h = b.Binary(at+"r2", "add", h, b.linear(at+"down", m, w, 48))
	}
	h = b.Binary("l2.r", "add", h, b.latent("l2.", b.norm("l2.n", h, w), w, 2, 20))
	g := b.graph(t, b.norm("end", h, w), w)
	return g, b.x, b.x.mixed(func(name string) string { return schemes[len(name)*3%len(schemes)] })
}

// story is a sequence of a history: what it holds, and when each append ended.
type story struct {
	seq  sequence
	ids  []int32
	ends []int // of the append that each token belongs to
	rest []int32
}

// history is one run of bytes.
type history struct {
	t       testing.TB
	data    []byte
	play    player // what is tested
	alone   player // what it is held against
	stories []*story
	known   map[string][]float32 // logits by tokens and ends
	passes  int
	gone    int // times that a sequence could not be cut back
}

// next takes a byte, as a number below n.
func (h *history) next(n int) int {
	if len(h.data) == 0 {
		return 0
	}
	b := h.data[0]
	h.data = h.data[1:]
	return int(b) % n
}

func (h *history) pick() *story { return h.stories[h.next(len(h.stories))] }

// step does one thing to one or some of the sequences.
func (h *history) step() {
	switch h.next(9) {
	case 0, 1, 2, 3:
		h.pass(-1)
	case 4: // a pass that ends in the middle
		h.pass(h.next(40))
	case 5:
		if s := h.pick(); len(h.stories) < 6 {
			f := &story{seq: h.play.fork(s.seq), ids: slices.Clone(s.ids), ends: slices.Clone(s.ends)}
			h.stories = append(h.stories, f)
		} else {
			h.play.close(s.seq)
			h.stories = slices.DeleteFunc(h.stories, func(x *story) bool { return x == s })
		}
	case 6:
		s := h.pick()
		n := len(s.ids) * h.next(256) / 256
		if h.next(2) == 0 {
			n = max(len(s.ids)-h.next(100), 0)
		}
		s.seq.Truncate(n)
		if x, ok := s.seq.(*Sequence); ok && x.Len() != n { // a layer has given up what lies before
			if x.Len() != 0 {
				h.t.Fatalf("%d positions cut back to %d: %d are left", len(s.ids), n, x.Len())
			}
			h.gone++
			n = 0
		}
		s.ids, s.ends, s.rest = s.ids[:n], s.ends[:n], nil
	case 7:
		s := h.pick()
		s.seq = h.play.reload(h.t, s.seq)
		if n := s.seq.Len(); n != len(s.ids) { // pages were short: it is empty
			s.ids, s.ends, s.rest = s.ids[:n], s.ends[:n], nil
		}
	case 8: // evicted, and read again as it was read
		s := h.pick()
		h.play.close(s.seq)
		s.seq = h.play.start()
		ids, ends := s.ids, s.ends
		s.ids, s.ends, s.rest = nil, nil, nil
		for len(s.ids) < len(ids) {
			at := len(s.ids)
			n := 1
			for at+n < len(ids) && ends[at+n] == ends[at] && n < 1+h.next(60) {
				n++
			}
			if !h.run([]*story{s}, [][]int32{ids[at : at+n]}, []int{ends[at]}, -1) {
				s.rest = nil
				break // pages are short: what is there must be right all the same
			}
		}
	}
}

// pass reads tokens into some sequences, and ends after so many looks at its context if that is not negative.
func (h *history) pass(looks int) {
	var list []*story
	var ids [][]int32
	var ends []int
	for _, s := range h.stories {
		if h.next(3) == 0 {
			continue
		}
		end := 0
		if s.rest == nil { // a new append, which this pass may not finish
			n := 1 + h.next(4)
			if h.next(4) == 0 {
				n = 1 + h.next(100)
			}
			n = min(n, historyContext-len(s.ids))
			for range n {
				s.rest = append(s.rest, int32(h.next(40)))
			}
		}
		if len(s.rest) == 0 {
			s.rest = nil
			continue
		}
		end = len(s.ids) + len(s.rest)
		n := 1 + h.next(len(s.rest))
		list, ids, ends = append(list, s), append(ids, s.rest[:n]), append(ends, end)
	}
	if list != nil {
		h.run(list, ids, ends, looks)
	}
}

// looking is a context that ends when it has been looked at so often.
type looking struct {
	context.Context
	left int
}

var errEnded = errors.New("ended")

func (c *looking) Err() error {
	if c.left--; c.left < 0 {
		return errEnded
	}
	return nil
}

// run is one pass; it tells whether the sequences took up their tokens.
func (h *history) run(list []*story, ids [][]int32, ends []int, looks int) bool {
	b := graph.Batch{}
	var all []int32
	for i, s := range list {
		p := graph.Part{Seq: s.seq.(graph.Sequence), N: len(ids[i]), End: ends[i]}
		for r := range ids[i] {
			if r == len(ids[i])-1 || h.next(5) == 0 {
				p.Rows = append(p.Rows, int32(r))
			}
		}
		b.Parts, all = append(b.Parts, p), append(all, ids[i]...)
	}
	b.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{len(all)}, I: all}}
	var ctx context.Context = context.Background()
	if looks >= 0 {
		ctx = &looking{ctx, looks}
	}
	out, err := h.play.pass(ctx, &b)
	h.passes++
	if err != nil {
		if !errors.Is(err, errEnded) && !h.play.full(err) {
			h.t.Fatal(err)
		}
		for _, s := range list {
			if s.seq.Len() != len(s.ids) {
				h.t.Fatalf("%d positions after a pass that failed, want the %d before", s.seq.Len(), len(s.ids))
			}
		}
		return false
	}
	row := 0
	for i, s := range list {
		before := len(s.ids)
		for range ids[i] {
			s.ends = append(s.ends, ends[i])
		}
		s.ids = append(s.ids, ids[i]...)
		if s.rest = s.rest[min(len(ids[i]), len(s.rest)):]; len(s.rest) == 0 {
			s.rest = nil
		}
		if s.seq.Len() != len(s.ids) {
			h.t.Fatalf("%d positions, want %d", s.seq.Len(), len(s.ids))
		}
		for _, r := range b.Parts[i].Rows {
			n := before + int(r) + 1
			same(h.t, fmt.Sprintf("position %d of sequence %d of %d in pass %d", n-1, i, len(list), h.passes), out[0].Row(row), h.want(s.ids[:n], s.ends[:n]))
			row++
		}
	}
	return true
}

// want is the logits after ids, from a sequence alone: append by append, since a rotation with dynamic
// scaling depends on where those end, each in one pass.
func (h *history) want(ids []int32, ends []int) []float32 {
	key := fmt.Sprint(ids, ends)
	if y, ok := h.known[key]; ok {
		return y
	}
	s := h.alone.start()
	defer h.alone.close(s)
	var y []float32
	for at := 0; at < len(ids); {
		n := 1
		for at+n < len(ids) && ends[at+n] == ends[at] {
			n++
		}
		b := tokens(s.(graph.Sequence), ids[at:at+n], false)
		b.Parts[0].End = ends[at]
		out, err := h.alone.pass(context.Background(), b)
		if err != nil {
			h.t.Fatal(err)
		}
		y = out[0].F
		at += n
	}
	y = slices.Clone(y)
	h.known[key] = y
	return y
}

// playHistory runs the bytes: the first one chooses the executor, how keys and values are
// stored, and how many pages there are.
func playHistory(t testing.TB, data []byte) (gone int) {
	h := &history{t: t, data: data, known: map[string][]float32{}}
	g, x, w := historyModel(t)
	switch kind := h.next(8); kind {
	case 0:
		h.play = &plain{g, x}
		h.alone = h.play
	default:
		p, kv := compile(t, g, w, Options{}), []attn.KVType{attn.KVI8, attn.KVBF16, attn.KVF32}[kind%3]
		budget := int64(0)
		if kind > 4 { // some pages too few
			budget = 11 * int64(attn.PageBytes(kv, 1, 16, 0))
		}
		ws := NewWorkspace(1 + kind%2)
		t.Cleanup(ws.Close)
		pool := attn.NewPool(budget)
		h.play = &fast{p, ws, pool, kv}
		h.alone = &fast{p, ws.Beside(), attn.NewPool(0), kv}
		t.Cleanup(func() {
			for _, s := range h.stories {
				h.play.close(s.seq)
			}
			if n := pool.Used(); n != 0 {
				t.Errorf("%d bytes of pages are still in use when all sequences are closed", n)
			}
		})
	}
	h.stories = []*story{{seq: h.play.start()}, {seq: h.play.start()}}
	for len(h.data) > 0 {
		h.step()
	}
	return h.gone
}

// TestHistories: random histories.
func TestHistories(t *testing.T) {
	end, n := time.Time{}, 24
	if s := os.Getenv("QPT_HISTORIES"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		end = time.Now().Add(d)
	} else if testing.Short() {
		n = 8
	}
	gone := 0
	for seed := uint64(0); int(seed) < n || time.Now().Before(end); seed++ {
		rng := rand.New(rand.NewPCG(seed, 3))
		data := make([]byte, 200+rng.IntN(600))
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		data[0] = byte(seed)
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { gone += playHistory(t, data) }) {
			t.Fatalf("history of seed %d: %x", seed, data)
		}
	}
	if gone == 0 && !testing.Short() {
		t.Error("no sequence ever had to be read again because a layer had given up what lay before its window")
	}
}

func FuzzHistory(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2000 {
			t.Skip("long")
		}
		playHistory(t, data)
	})
}
