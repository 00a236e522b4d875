package convert

import (
	"math/rand/v2"
	"time"

	"qpt/internal/num"
	"qpt/internal/par"
	"qpt/kernels/linear"
)

// time measures how long one row's product with each candidate takes, and with the matrices that do not take part.
func (m *measure) time() {
	t := newTimer(m.p.Opt.Threads, m.p.Bytes())
	form := func(scheme string) (linear.Format, linear.ActForm) {
		s := mustScheme(scheme)
		return s.Format, s.Form
	}
	turns := m.p.graph.Turns()
	for i := range m.s.Layers {
		l := &m.s.Layers[i]
		for j := range l.Candidates {
			c := &l.Candidates[j]
			f, a := form(c.Scheme)
			c.Seconds = t.seconds(shape{f, a, l.Shape[0], l.Shape[1], c.Group}) * turns[l.Name]
		}
	}
	for _, it := range m.p.Items {
		if n := turns[it.Name]; n > 0 && m.part[it.Name] == nil {
			f, a := form(it.Scheme)
			m.s.FixedSeconds += t.seconds(shape{f, a, it.Shape[0], it.Shape[1], it.Group}) * n
		}
	}
}

// shape of a linear layer, as far as its speed depends on it.
type shape struct {
	format linear.Format
	form   linear.ActForm
	n, k   int
	group  int
}

// timer measures shapes, each once.
type timer struct {
	threads int
	arena   []byte // weights are read from all of it in turn: as far away as those of the model
	done    map[shape]float64
}

// arenaBytes bounds the arena: beyond every cache.
const arenaBytes = 256 << 20

func newTimer(threads int, model int64) *timer {
	t := &timer{threads: threads, arena: make([]byte, min(model, arenaBytes)), done: map[shape]float64{}}
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range t.arena {
		t.arena[i] = byte(rng.Uint32()) & 0x7f
	}
	return t
}

// seconds is the time of one product, the least of three measurements: all
// threads multiply their share of the columns side by side.
func (t *timer) seconds(s shape) float64 {
	if v, ok := t.done[s]; ok {
		return v
	}
	n := min(s.n, num.Pad((s.n+t.threads-1)/t.threads, 64)) // columns of a thread
	data, groups, _, _, _, err := linear.Sizes(s.format, n, s.k, s.group)
	if err != nil {
		panic(err) // the plan has sizes of it
	}
	size := num.Pad(data, 64) + num.Pad(groups, 64)
	arena := t.arena
	if len(arena) < size*t.threads {
		arena = make([]byte, size*t.threads)
	}
	copies := len(arena) / size
	var run []func(i int) // product i of a thread
	for range (s.n + n - 1) / n {
		w := linear.NewWeight(s.format, n, s.k, s.group)
		x := linear.NewActs(s.form, 1, s.k).Reset(1)
		x.Quantize(0, 1, make([]float32, s.k), s.k)
		y := make([]float32, num.Pad(n, 16))
		var scratch linear.Scratch
		run = append(run, func(i int) {
			from := i % copies * size
			w.Data, w.Groups = arena[from:from+data], arena[from+num.Pad(data, 64):][:groups]
			linear.Linear(linear.Sink{Y: y, Ld: len(y)}, x, w, 0, w.Blocks(), &scratch)
		})
	}
	best := 0.0
	for reps, tries := 1, 0; tries < 3; {
		start := time.Now()
		par.For(t.threads, len(run), func(_, j int) {
			for i := range reps {
				run[j](i*len(run) + j)
			}
		})
		spent := time.Since(start).Seconds()
		if spent < 2e-3 { // too short to be measured
			reps *= 2
			continue
		}
		each := spent / float64(reps)
		if tries++; best == 0 || each < best {
			best = each
		}
	}
	t.done[s] = best
	return best
}
