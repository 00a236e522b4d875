package convert

import (
	"context"
	"slices"

	"qpt/format"
	"qpt/kernels/linear"
	"qpt/runtime/ref"
)

// refPrompts are texts of several kinds for the embedded FP32 results.
var refPrompts = []string{
	"Once upon a time, there was a little girl named Lily. She loved to play with her toys in the park, and one day she found a big red ball.",
	"The quick brown fox jumps over the lazy dog. In 1969, 3 people flew to the Moon; the trip took about 76 hours each way.",
}

// refTokens is the most tokens of one reference prompt.
const refTokens = 32

// references runs the FP32 executor on the original weights.
func (p *Plan) references(ctx context.Context) (*format.References, error) {
	refs := &format.References{Vocab: p.Model.Vocab}
	rows := p.refRows()
	var seqs []ref.Seq
	for i, text := range refPrompts {
		var ids []int32
		if p.tok != nil {
			var err error
			if ids, err = p.tok.Encode(ctx, text, true); err != nil {
				return nil, err
			}
		}
		if len(ids) == 0 || int(slices.Max(ids)) >= p.Model.Vocab {
			ids, text = nil, ""
			for j := range refTokens { // any tokens will do
				ids = append(ids, int32((i*7919+j*104729+1)%p.Model.Vocab))
			}
		}
		n := min(len(ids), refTokens, p.Model.MaxPos, rows/(len(refPrompts)-i))
		if n == 0 {
			continue
		}
		rows -= n
		if text != "" {
			text = p.tok.Decode(ids[:n], true)
		}
		c := format.Reference{Prompt: text, Tokens: ids[:n]}
		for j := range n {
			c.Rows = append(c.Rows, int32(j))
		}
		refs.Cases = append(refs.Cases, c)
		seqs = append(seqs, ref.Seq{IDs: c.Tokens})
	}
	logits, err := ref.Run(ctx, p.Model.Graph, p.ckpt, seqs, ref.Options{Threads: p.Opt.Threads, Dot: linear.MatMul()})
	if err != nil {
		return nil, err
	}
	for i, t := range logits {
		refs.Cases[i].Logits = slices.Clone(t.F)
	}
	return refs, nil
}

// refRows is how many rows of logits the file will hold: 64, or fewer so that
// they take no more than a hundredth of the file, or 128 KiB.
func (p *Plan) refRows() int {
	if p.Opt.References > 0 {
		return p.Opt.References
	}
	budget := max(p.Bytes()/100, 128<<10)
	return int(min(max(budget/int64(4*p.Model.Vocab), 8), 64))
}
