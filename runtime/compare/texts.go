package compare

import (
	"context"
	"slices"

	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime"
	"qpt/runtime/encoder"
	"qpt/runtime/exec"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/ref"
)

// TextsOptions of RunTexts; the zero value works.
type TextsOptions struct {
	// Result, if set, sees the rows of encoder.Result of each text: FP32's and each model's. The slices are reused.
	Result func(text int, want []float32, got [][]float32)
	// Progress, if set, is called after each node of each text.
	Progress func(done, total int)
}

// RunTexts is RunLockStep of encoders: the FP32 executor on the original weights, and these models beside it, text after
// text. The Logits of what comes back stay empty.
func RunTexts(ctx context.Context, models []*encoder.Model, src graph.Source, texts []tokenizer.Encoding, opt TextsOptions) (out []*LockStep, err error) {
	list := make([]*runtime.Model, len(models))
	for i, m := range models {
		list[i] = m.Model
	}
	err = exclusive(ctx, list, func(cores []*exec.Workspace) (err error) {
		out, err = runTexts(ctx, list, cores, src, texts, opt)
		return err
	})
	return out, err
}

func runTexts(ctx context.Context, models []*runtime.Model, cores []*exec.Workspace, src graph.Source, texts []tokenizer.Encoding, opt TextsOptions) ([]*LockStep, error) {
	r := &lockStep{ctx: ctx, opt: LockStepOptions{Progress: opt.Progress}, seqs: make([][]int32, len(texts))}
	original, err := r.begin(models, cores, src, false)
	if err != nil {
		return nil, err
	}
	name, _ := encoder.Result(original)
	at := slices.Index(original.Outputs, name)
	for i, text := range texts {
		r.seq = i
		b := ref.Texts(original, ref.Seq{IDs: text.IDs, Types: text.TypeIDs})
		for _, p := range r.models {
			if err := p.start(b); err != nil {
				return nil, err
			}
		}
		want, err := ref.Run(ctx, original, graph.Views(original, src), b, ref.Options{Threads: models[0].Threads(), Dot: linear.MatMul(), Tap: r.tap})
		if err != nil {
			return nil, err
		}
		var got [][]float32
		for j, p := range r.models {
			out, err := p.m.Program().Run(ctx, cores[j], b)
			if err != nil {
				return nil, err
			}
			got = append(got, out[at].F)
		}
		if opt.Result != nil {
			opt.Result(i, want[at].F, got)
		}
	}
	return r.done(), nil
}
