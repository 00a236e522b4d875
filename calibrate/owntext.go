package calibrate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/elem"
	"qpt/kernels/linear"
	"qpt/runtime/lm/sample"
	"qpt/runtime/ref"
)

// OwnTextOptions of OwnText; all but BOS, EOS, Memory and Progress are required.
type OwnTextOptions struct {
	BOS             int   // first token of every sequence; < 0: one by chance
	EOS             []int // these end a sequence, and BOS
	Vocab           int
	Samples, Length int // Samples times Length tokens are made, at most Length a sequence
	Seed            uint64
	Threads         int
	Memory          int64 // bytes for keys and values; 0: no cap
	Progress        func(done, total int)
}

// OwnText lets the FP32 model write calibration text: tokens drawn from its
// predictions as they are (temperature 1), many sequences a step. It is the FP32 model because
// its linear layers have the same bits on every machine, so that the text is the same.
func OwnText(ctx context.Context, g *graph.Graph, src graph.Source, o OwnTextOptions) (seqs [][]int32, err error) {
	width := int64(1) // of keys and values of a token
	for _, n := range g.Nodes {
		if op, ok := n.Op.(graph.Attention); ok {
			width += int64(op.Operands()-1) * int64(op.KVHeads*op.HeadDim)
		}
	}
	at := o.Samples
	if o.Memory > 0 { // append may reserve a quarter more
		at = int(min(max(o.Memory/(5*width*int64(o.Length)), 1), int64(at)))
	}
	for first := 0; first < o.Samples; first += at {
		list, err := ownText(ctx, g, src, o, first, min(at, o.Samples-first))
		if err != nil {
			return nil, err
		}
		seqs = append(seqs, list...)
	}
	return seqs, nil
}

// writer makes one sequence after another.
type writer struct {
	rng     *rand.Rand
	sampler *sample.Sampler
	ids     []int32
	done    [][]int32
}

// begin starts a sequence.
func (w *writer) begin(o *OwnTextOptions) {
	id := int32(o.BOS)
	if o.BOS < 0 {
		id = w.rng.Int32N(int32(o.Vocab))
	}
	w.ids = []int32{id}
}

// ownText is the share of n writers, each of which makes Length tokens.
func ownText(ctx context.Context, g *graph.Graph, src graph.Source, o OwnTextOptions, first, n int) (seqs [][]int32, err error) {
	writers, step := make([]writer, n), make([]int32, n)
	batch := &graph.Batch{Parts: make([]graph.Part, n), Inputs: map[string]graph.Tensor{"ids": {Shape: []int{n}, I: step}}}
	for i := range writers {
		w := &writers[i]
		w.rng = rand.New(rand.NewPCG(o.Seed, uint64(first+i)))
		if w.sampler, err = sample.New(sample.Options{Temperature: 1, Seed: w.rng.Uint64()}); err != nil {
			return nil, err
		}
		w.begin(&o)
		batch.Parts[i] = graph.Part{Seq: ref.NewSequence(g), N: 1, Rows: []int32{0}}
	}
	for made := 1; made < o.Length; made++ {
		for i := range writers {
			step[i] = writers[i].ids[len(writers[i].ids)-1]
		}
		out, err := ref.Run(ctx, g, src, batch, ref.Options{Threads: o.Threads, Dot: linear.MatMul(), Fast: ref.Fast{Unary: elem.Unary}})
		if err != nil {
			return nil, err
		}
		for i := range writers {
			w := &writers[i]
			if len(w.ids) > 1 && (slices.Contains(o.EOS, int(step[i])) || int(step[i]) == o.BOS) {
				w.done = append(w.done, w.ids)
				w.begin(&o)
				batch.Parts[i].Seq = ref.NewSequence(g)
				continue
			}
			id, err := w.sampler.Next(out[0].Row(i), nil, made)
			if err != nil {
				return nil, fmt.Errorf("calibrate: the model's own text: %w", err)
			}
			w.ids = append(w.ids, id)
		}
		if o.Progress != nil {
			o.Progress(first*o.Length+n*(made+1), o.Samples*o.Length)
		}
	}
	for _, w := range writers {
		seqs = append(seqs, w.done...)
		if len(w.ids) > 1 {
			seqs = append(seqs, w.ids)
		}
	}
	return seqs, nil
}
