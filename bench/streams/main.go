// Command streams measures many sequences of one model at once: what an empty
// session holds, what a position of it takes, and how fast 1, 4, 16 and 64
// sequences decode together, one row each in every pass.
//
//	go run ./bench/streams --model m.qpt [--streams 1,4,16,64] [--prompt 32] [--passes 16] [--rounds 5]
//	go run ./bench/streams --shape tinyllama-1.1b --scheme da8w4 --dir DIR    # makes the file there first
//
// The numbers of sequences take turns, round by round, so that a machine that
// slows down slows all of them; a row shows the median pass, and the fastest, which other processes disturbed least.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"qpt/bench/synth"
	"qpt/convert"
	"qpt/format/graph"
	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime"
	"qpt/runtime/exec"
	"qpt/runtime/lm"
)

type options struct {
	model, shape, scheme, dir string
	streams                   []int
	prompt, passes, rounds    int
	isa                       string
	run                       runtime.Options
}

func main() {
	var o options
	pflag.StringVar(&o.model, "model", "", "file to run")
	pflag.StringVar(&o.shape, "shape", "", "without --model: make random weights of this shape (bench/synth)")
	pflag.StringVar(&o.scheme, "scheme", "da8w4", "without --model: convert to this scheme")
	pflag.StringVar(&o.dir, "dir", "", "without --model: where the checkpoint and the file are, or are made")
	pflag.IntSliceVar(&o.streams, "streams", []int{1, 4, 16, 64}, "numbers of sequences")
	pflag.IntVar(&o.prompt, "prompt", 32, "tokens that each sequence holds at first")
	pflag.IntVar(&o.passes, "passes", 16, "tokens decoded by each sequence a round")
	pflag.IntVar(&o.rounds, "rounds", 5, "rounds")
	pflag.IntVarP(&o.run.Threads, "threads", "t", 0, "cores; 0: all")
	pflag.StringVar(&o.run.KV, "kv", "", "keys and values as f32, bf16 or int8")
	cli.ISA(pflag.CommandLine, &o.isa, "")
	pflag.StringVar(&o.run.Tuning, "tuning", "", "file of measured kernel times, as qrun keeps; without one kernels are chosen by rule")
	pflag.Parse()
	os.Exit(ui.Run("streams", func(ctx context.Context) error {
		if err := ui.UseISA(o.isa); err != nil {
			return err
		}
		return run(ctx, o)
	}))
}

func run(ctx context.Context, o options) error {
	if o.model == "" {
		var err error
		if o.model, err = makeFile(ctx, o); err != nil {
			return err
		}
	}
	o.run.Context = o.prompt + o.passes*(o.rounds+1)
	m, err := lm.Load(o.model, o.run)
	if err != nil {
		return err
	}
	defer m.Close()
	fmt.Printf("%s, %d threads, keys and values %s\n", filepath.Base(o.model), m.Threads(), m.KV())
	empty, err := emptySessions(m, 1000)
	if err != nil {
		return err
	}
	fmt.Printf("an empty session  %.1f KiB (of 1,000: %.1f MiB)\n", empty/1024, empty*1000/(1<<20))
	var groups []*group
	for _, n := range o.streams {
		g, err := newGroup(ctx, m, n, o.prompt)
		if err != nil {
			return err
		}
		groups = append(groups, g)
	}
	fmt.Printf("%d positions       %.1f KiB a session\n", o.prompt, groups[len(groups)-1].bytes/1024)
	for r := range o.rounds + 1 { // the first warms up
		for _, g := range groups {
			if err := g.decode(ctx, m, o.passes); err != nil {
				return err
			}
			if r == 0 {
				g.times = nil
			}
		}
	}
	fmt.Println("           median                               fastest pass")
	fmt.Println("sequences  ms a pass  tokens/s  times one's     ms  tokens/s  times one's")
	first := groups[0]
	for _, g := range groups {
		m, b := median(g.times), slices.Min(g.times)
		fmt.Printf("%9d  %9.1f  %8.1f  %11.2f  %5.1f  %8.1f  %11.2f\n", len(g.seqs), 1e3*m.Seconds(), g.rate(m), g.rate(m)/first.rate(median(first.times)),
			1e3*b.Seconds(), g.rate(b), g.rate(b)/first.rate(slices.Min(first.times)))
	}
	return nil
}

// makeFile makes a file of random weights in o.dir unless it is there, and returns its path.
func makeFile(ctx context.Context, o options) (string, error) {
	shape, ok := synth.Shapes[o.shape]
	if !ok || o.dir == "" {
		return "", errors.New("give --model FILE, or --shape SHAPE (as bench/synth has) and --dir DIR")
	}
	checkpoint, out := filepath.Join(o.dir, o.shape), filepath.Join(o.dir, o.shape+"."+o.scheme+".qpt")
	if _, err := os.Stat(out); err == nil {
		return out, nil
	}
	if _, err := os.Stat(filepath.Join(checkpoint, "config.json")); err != nil {
		if err := synth.Write(checkpoint, shape, synth.Options{}); err != nil {
			return "", err
		}
	}
	p, err := convert.MakePlan(convert.Options{In: checkpoint, Out: out, Scheme: o.scheme, References: -1})
	if err != nil {
		return "", err
	}
	defer p.Close()
	_, err = p.Run(ctx, convert.Hooks{})
	return out, err
}

// heap is what is in use after a collection.
func heap() float64 {
	goruntime.GC()
	goruntime.GC()
	var s goruntime.MemStats
	goruntime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

// emptySessions returns the bytes of one of n sessions.
func emptySessions(m *lm.Model, n int) (float64, error) {
	before, list := heap(), make([]*lm.Session, n)
	for i := range list {
		var err error
		if list[i], err = m.NewSession(); err != nil {
			return 0, err
		}
	}
	bytes := (heap() - before) / float64(n)
	for _, s := range list {
		s.Close()
	}
	return bytes, nil
}

// group is sequences that decode together.
type group struct {
	seqs  []*exec.Sequence
	bytes float64 // of one after its prompt
	next  []int32 // token of each
	batch graph.Batch
	times []time.Duration // of a pass
}

// newGroup runs a prompt of other tokens in each of n sequences.
func newGroup(ctx context.Context, m *lm.Model, n, prompt int) (*group, error) {
	g := &group{next: make([]int32, n)}
	before := heap()
	for i := range n {
		seq := m.NewSequence(m.Context())
		ids := make([]int32, prompt)
		for j := range ids {
			ids[j] = int32((i*7919 + j*104729 + 1) % m.Vocab())
		}
		g.seqs = append(g.seqs, seq)
		b := graph.Batch{Parts: []graph.Part{{Seq: seq, N: prompt}}, Inputs: map[string]graph.Tensor{"ids": {Shape: []int{prompt}, I: ids}}}
		if err := m.Pass(ctx, m.Program(), &b, func([]graph.Tensor) error { return nil }); err != nil {
			return nil, err
		}
		if i == 0 { // buffers have grown: what comes is sequences
			before = heap()
		}
	}
	g.bytes = (heap() - before) / float64(max(n-1, 1))
	for i, seq := range g.seqs {
		g.batch.Parts = append(g.batch.Parts, graph.Part{Seq: seq, N: 1, Rows: []int32{0}})
		g.next[i] = int32(i % m.Vocab())
	}
	g.batch.Inputs = map[string]graph.Tensor{"ids": {Shape: []int{n}, I: g.next}}
	return g, nil
}

// decode runs passes of one greedy token in each sequence.
func (g *group) decode(ctx context.Context, m *lm.Model, passes int) error {
	for range passes {
		start := time.Now()
		err := m.Pass(ctx, m.Program(), &g.batch, func(out []graph.Tensor) error {
			v := m.Vocab()
			for i := range g.next {
				row := out[0].F[i*v:][:v]
				g.next[i] = int32(slices.Index(row, slices.Max(row)))
			}
			return nil
		})
		if err != nil {
			return err
		}
		g.times = append(g.times, time.Since(start))
	}
	return nil
}

// rate is tokens a second of all sequences when a pass takes t.
func (g *group) rate(t time.Duration) float64 { return float64(len(g.seqs)) / t.Seconds() }

func median(t []time.Duration) time.Duration {
	t = slices.Sorted(slices.Values(t))
	return t[len(t)/2]
}
