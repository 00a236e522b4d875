package calibrate

import (
	"cmp"
	"context"
	"errors"
	"os"

	"qpt/format/graph"
	"qpt/internal/num"
	"qpt/runtime/ref"
)

// parking is where parts wait for their turn: in memory as far as there is
// room, else in a temporary file, one for each pass over the parts.
type parking struct {
	dir      string
	room     int64    // bytes left in memory
	from, to *os.File // of the last pass, of this one
	end      int64    // of to
	spare    *ref.Spare
}

// part is some of the sequences on their way through the model.
type part struct {
	rounded, exact *ref.Walk // exact is nil without Correct
	held           int64     // bytes in memory
	off            int64     // in the file of the last pass
}

// values calls f for the values of both walks.
func (p *part) values(f func(data *[]float32, n int) error) error {
	err := p.rounded.Floats(f)
	if err == nil && p.exact != nil {
		err = p.exact.Floats(f)
	}
	return err
}

// advance lets both walks compute the nodes before end, side by side: what one of them does alone leaves the other the cores.
func (p *part) advance(ctx context.Context, end int) error {
	if p.exact == nil {
		return p.rounded.Advance(ctx, end)
	}
	done := make(chan error, 1)
	go func() { done <- p.exact.Advance(ctx, end) }()
	err := p.rounded.Advance(ctx, end)
	return cmp.Or(err, <-done)
}

// wake brings the values of p back.
func (k *parking) wake(p *part) error {
	k.room += p.held
	p.held = 0
	return p.values(func(data *[]float32, n int) error {
		if *data != nil {
			return nil
		}
		*data = k.spare.Get(n)
		_, err := k.from.ReadAt(num.BytesOf(*data), p.off)
		p.off += int64(4 * n)
		return err
	})
}

// rest puts the values of p aside until the next pass.
func (k *parking) rest(p *part) error {
	var size int64
	p.values(func(_ *[]float32, n int) error { size += int64(4 * n); return nil })
	if size <= k.room {
		p.held = size
		k.room -= size
		return nil
	}
	if k.to == nil {
		var err error
		if k.to, err = temporary(k.dir); err != nil {
			return err
		}
		k.end = 0
	}
	p.off = k.end
	return p.values(func(data *[]float32, n int) error {
		_, err := k.to.WriteAt(num.BytesOf(*data), k.end)
		k.end += int64(4 * n)
		k.spare.Put(*data)
		*data = nil
		return err
	})
}

// turn ends a pass.
func (k *parking) turn() error {
	err := discard(k.from)
	k.from, k.to = k.to, nil
	return err
}

// close leaves no file behind.
func (k *parking) close() { discard(k.from); discard(k.to) }

// temporary makes a file that is gone when it is closed, or at once where the
// system lets it: a killed process leaves none behind.
func temporary(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".qpt-calibrate-*.tmp")
	if err == nil {
		os.Remove(f.Name())
	}
	return f, err
}

func discard(f *os.File) error {
	if f == nil {
		return nil
	}
	err := f.Close()
	if gone := os.Remove(f.Name()); !errors.Is(gone, os.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	return err
}

// Most tokens that walk together: more would not make products faster.
const chunkTokens = 2048

// chunk is how many tokens walk together: few stay in the cache from op to op (4 % less time than with 2,048 on two cores), many have enough for each thread.
func (o *Options) chunk() int { return min(max(256*o.Threads, 512), chunkTokens) }

// demand is what Run needs of memory, in bytes.
type demand struct {
	fixed  int64 // matrices and weights of the widest site
	token  int64 // values of one token on its way from site to site
	parked int64 // values of one token that waits at a site
}

func newDemand(g *graph.Graph, todo []*site, o Options) (d demand) {
	params := g.ParamMap()
	walks := int64(1)
	if o.Correct || o.Bias {
		walks = 2
	}
	size := func(weight string) int64 { return int64(params[weight].Shape[0]) * int64(params[weight].Shape[1]) }
	ahead := map[string]int64{} // rounded, for nodes that the walk has yet to reach
	left := readersOf(g)
	behind := 0
	var shared int64 // moments that wait
	for _, t := range todo {
		k := int64(t.k)
		var all, widest int64
		for _, r := range t.readers {
			v := size(r.Weight)
			all, widest = all+v, max(widest, v)
		}
		var pass int64 // weights of the pass to the site, packed by both walks
		for ; behind < t.end; behind++ {
			for _, m := range g.Nodes[behind].Linears() {
				pass += walks * size(m.Weight)
				if left[m.Weight]--; left[m.Weight] == 0 {
					delete(ahead, m.Weight)
				}
			}
		}
		var wait int64
		for _, v := range ahead {
			wait += v
		}
		for _, r := range t.readers {
			ahead[r.Weight] = size(r.Weight)
		}
		var gap int64 // weights whose G is summed up
		if o.Correct && t.beside != "" {
			gap = all
		}
		d.fixed = max(d.fixed,
			(wait+pass)/2+2*k*k+3*k*batch+gap+gap/k*batch*3/2, // collect
			wait/2+4*k*k+gap,              // factors
			wait/2+3*k*k+all+2*widest+gap, // correct
			wait/2+2*k*k+2*all+int64(o.Threads)*128*6*k)
		if len(t.again) > 0 {
			shared += k*k + 3*k*batch
		}
	}
	d.fixed += shared
	if len(todo) == 0 {
		return demand{}
	}
	at := map[int]bool{} // ends
	for _, t := range todo {
		at[t.end] = true
	}
	last := todo[len(todo)-1].end
	done := false
	g.Live(func(i int, during, after int64) {
		if done {
			return
		}
		d.token = max(d.token, during)
		if at[i+1] {
			d.parked = max(d.parked, after)
		}
		done = i+1 == last
	})
	d.fixed = 4*d.fixed + slackBytes
	d.token, d.parked = 4*walks*d.token, 4*walks*d.parked
	return d
}

// slackBytes is for the weights that a walk reads and for what is small.
const slackBytes = 10 << 20

// Memory is the least that Run needs, in bytes, and the most that it can use; with less it
// moves activations to a file and back.
func Memory(g *graph.Graph, o Options) (least, most int64) {
	o.defaults()
	d := newDemand(g, sites(g, func(p string) bool { _, ok := o.Target(p); return ok }), o)
	all := int64(o.Samples) * int64(o.Length)
	awake := min(all, int64(o.chunk()))
	return d.fixed + d.token*int64(o.Length), d.fixed + 2*d.token*awake + d.parked*(all-awake) // as much is spare
}
