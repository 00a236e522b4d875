package convert

import (
	"context"
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/lm"
	"qpt/runtime/ref"
)

// refPrompts are texts of several kinds for the embedded FP32 predictions.
var refPrompts = []string{
	"Once upon a time, there was a little girl named Lily. She loved to play with her toys in the park, and one day she found a big red ball. " +
		"The ball rolled down the hill, and Lily ran after it until she came to a small house under a tree.",
	"The quick brown fox jumps over the lazy dog. In 1969, 3 people flew to the Moon; the trip took about 76 hours each way. " +
		"Water boils at 100 degrees Celsius at sea level, and at lower temperatures on high mountains, where the pressure of the air is less.",
	"def fibonacci(n):\n    \"\"\"Return the first n Fibonacci numbers.\"\"\"\n    a, b = 0, 1\n    result = []\n    for _ in range(n):\n        result.append(a)\n        a, b = b, a + b\n    return result\n",
	"\"Where did you put the keys?\" asked her brother. \"On the table, next to the letter from the bank,\" she answered. " +
		"\"I looked there twice.\" He opened the drawer, then the cupboard, and at last he found them in the pocket of his coat.",
	"Question: A train travels 180 kilometres in 2 hours and 15 minutes. What is its average speed?\nAnswer: 2 hours and 15 minutes are 2.25 hours, " +
		"and 180 / 2.25 = 80, so the average speed is 80 kilometres an hour.",
	"Die Stadt liegt am Fluss, und im Sommer sitzen die Leute bis spät am Abend am Ufer. En hiver, la rivière est calme et les rues sont presque vides. " +
		"El mercado abre a las ocho de la mañana todos los días.",
}

// Of each prediction the file keeps refTop likeliest tokens and refTail others: 256 rows take less than 512 KiB.
const (
	refRows = 256
	refTop  = 216
	refTail = 32

	refBlock = 32 // rows of logits in memory
)

// refers tells whether the file gets FP32 predictions: a language model's, unless they are not wanted.
func (p *Plan) refers() bool { return p.Opt.References >= 0 && lm.Check(p.Model.Graph) == nil }

// references runs the FP32 executor on the original weights, rows predictions in all, as evenly from
// the texts as these are long. Without a tokenizer any tokens will do.
func (p *Plan) references(ctx context.Context, rows int) (*format.References, error) {
	vocab := p.Model.Vocab
	refs := &format.References{Vocab: vocab, Top: min(refTop, vocab)}
	if refs.Top < vocab {
		refs.Tail = refTail
	}
	var seqs []ref.Seq
	for i, text := range refPrompts {
		var ids []int32
		if p.tok != nil {
			var err error
			if ids, err = p.tok.Encode(ctx, text, true); err != nil {
				return nil, err
			}
		}
		if len(ids) == 0 || int(slices.Max(ids)) >= vocab {
			ids, text = nil, ""
			for j := range 64 {
				ids = append(ids, int32((i*7919+j*104729+1)%vocab))
			}
		}
		left := len(refPrompts) - i
		n := min(len(ids)-1, p.Model.MaxPos-1, (rows+left-1)/left)
		if n <= 0 {
			continue
		}
		rows -= n
		if text != "" {
			text = p.tok.Decode(ids[:n+1], true)
		}
		c := format.Reference{Prompt: text, Tokens: ids[:n+1]}
		for j := range n {
			c.Rows = append(c.Rows, int32(j))
		}
		refs.Cases = append(refs.Cases, c)
		seqs = append(seqs, ref.Seq{IDs: c.Tokens, Rows: c.Rows})
	}
	if seqs == nil { // a model of one position
		return nil, nil
	}
	last := &p.Model.Graph.Nodes[len(p.Model.Graph.Nodes)-1]
	opt := ref.Options{Threads: p.Opt.Threads, Dot: linear.MatMul()}
	if _, ok := last.Op.(graph.Linear); ok {
		opt.Block = refBlock
	}
	var bad error
	opt.Tap = func(n *graph.Node, seq int, _ []graph.Tensor, out graph.Tensor) {
		if n.Name != last.Name {
			return
		}
		c := &refs.Cases[seq]
		for r := range out.Rows() {
			for id, x := range out.Row(r) {
				if x-x != 0 {
					bad = fmt.Errorf("%w: the FP32 model overflows on the reference text %.40q: the logit of token %d is %v (--references -1 leaves these texts out)", ErrInput, c.Prompt, id, x)
					return
				}
			}
			next := c.Tokens[c.Rows[len(c.Preds)]+1]
			c.Preds = append(c.Preds, format.NewPrediction(out.Row(r), next, refs.Top, refs.Tail))
		}
	}
	if _, err := ref.Run(ctx, p.Model.Graph, graph.Views(p.Model.Graph, p.ckpt), ref.Texts(p.Model.Graph, seqs...), opt); err != nil {
		return nil, err
	}
	return refs, bad
}
