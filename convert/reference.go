package convert

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"qpt/format"
	"qpt/format/graph"
	"qpt/kernels/linear"
	"qpt/runtime/encoder"
	"qpt/runtime/lm"
	"qpt/runtime/lm/tokenizer"
	"qpt/runtime/ref"
)

// refPrompts are texts of several kinds for the embedded FP32 results.
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

// refTexts are shorter ones for encoders, which read refPrompts before them.
var refTexts = []string{
	"A man is eating food.", "The girl is carrying a baby.", "How do I reset my password?", "Click on “Forgot password” on the sign-in page and follow the link in the mail.",
	"What a film! I laughed from the first minute to the last.", "The battery died after two weeks and nobody answers my mails.", "weather tomorrow in Oslo",
	"Angela Merkel lived in Berlin, and worked for the Academy of Sciences until 1990.", "In 2023 Acme Corp. opened its third factory near Lyon, with 450 workers.",
	"SELECT name, count(*) FROM orders WHERE price > 10 GROUP BY name;", "for i := range n { sum += x[i] * y[i] }", "https://example.org/docs/install.html#linux",
	"Error 404: the page was not found.", "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen.", "The court held that the contract was void, since no consideration had been given.",
	"Take 200 g of flour, two eggs and half a litre of milk; let the dough rest for an hour.", "Yes", "to be or not to be", "Wie komme ich vom Bahnhof zum Rathaus?",
	"Le chat dort sur le canapé depuis ce matin.", "¿Dónde está la biblioteca más cercana?", "Книга лежит на столе.", "今天天气很好，我们去公园散步吧。", "明日の会議は午後三時からです。",
	"السلام عليكم ورحمة الله", "🙂 thanks, see you later!!!",
}

// Of each prediction the file keeps refTop likeliest tokens and refTail others: 256 rows take less than 512 KiB. Of
// encoders' rows of at most refWhole classes, and of embeddings, it keeps all.
const (
	refRows  = 256
	refTop   = 216
	refTail  = 32
	refWhole = refTop + refTail

	refBlock = 32  // rows of logits in memory
	refPass  = 288 // tokens of a pass, or those of one text
)

// refers tells whether the file gets FP32 results for texts: of a language model or an encoder, unless they are not wanted.
func (p *Plan) refers() bool {
	return p.Opt.References >= 0 && (lm.Check(p.Model.Graph) == nil || encoder.Check(p.Model.Graph) == nil)
}

// references runs the FP32 executor on the original weights, rows results in all, as evenly from
// the texts as these are long. Without a tokenizer any tokens will do. A model of one position has none.
func (p *Plan) references(ctx context.Context, rows int, see func(n *graph.Node, out graph.Tensor)) (refs *format.References, err error) {
	if lm.Check(p.Model.Graph) == nil {
		refs, err = p.predictions(ctx, rows)
	} else {
		refs, err = p.results(ctx, rows)
	}
	if err != nil || len(refs.Cases) == 0 {
		return nil, err
	}
	return refs, p.refer(ctx, refs, see)
}

// anyTokens are n tokens that stand for text i where there is no tokenizer, or none that can write it.
func (p *Plan) anyTokens(i, n int) (ids []int32) {
	for j := range n {
		ids = append(ids, int32((i*7919+j*104729+1)%p.Model.Vocab))
	}
	return ids
}

// predictions chooses the texts and rows of a language model.
func (p *Plan) predictions(ctx context.Context, rows int) (*format.References, error) {
	vocab := p.Model.Vocab
	refs := &format.References{Vocab: vocab, Top: min(refTop, vocab)}
	if refs.Top < vocab {
		refs.Tail = refTail
	}
	for i, text := range refPrompts {
		var ids []int32
		if p.tok != nil {
			var err error
			if ids, err = p.tok.Encode(ctx, text, true); ctx.Err() != nil {
				return nil, err
			}
		}
		if len(ids) == 0 || int(slices.Max(ids)) >= vocab {
			ids, text = p.anyTokens(i, 64), ""
		}
		n := min(share(len(ids)-1, rows, len(refPrompts)-i), p.Model.MaxPos-1)
		if n <= 0 {
			continue
		}
		rows -= n
		if text != "" {
			text = p.tok.Decode(ids[:n+1], true)
		}
		refs.Cases = append(refs.Cases, format.Reference{Prompt: text, Tokens: ids[:n+1], Rows: firstRows(n)})
	}
	return refs, nil
}

// share is how many of have rows a text gives, when left texts are to give so many rows.
func share(have, rows, left int) int { return min(have, (rows+left-1)/left) }

// firstRows counts from 0 to n-1.
func firstRows(n int) []int32 {
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(i)
	}
	return list
}

// results chooses the texts and rows of an encoder. Where classes are of whole texts, every second one has the next beside it, unless there is no kind of tokens for it.
func (p *Plan) results(ctx context.Context, rows int) (*format.References, error) {
	g := p.Model.Graph
	name, classes := encoder.Result(g)
	shape := g.ValueMap()[name].Shape
	refs := &format.References{Output: name, Vocab: int(shape[len(shape)-1])}
	if classes && refs.Vocab > refWhole {
		refs.Top, refs.Tail = refTop, refTail
	}
	each := g.Symbols[-1-shape[0]] == "R"
	pairs := name == encoder.Logits && !each && tokenKinds(g) != 1
	texts := slices.Concat(refPrompts, refTexts)
	for i, text := range texts {
		var c format.Reference
		if p.tok != nil {
			var e tokenizer.Encoding
			var err error
			o := tokenizer.EncodeOptions{MaxLength: p.Model.MaxPos}
			if i%2 == 1 && pairs {
				next := texts[(i+1)%len(texts)]
				e, err = p.tok.EncodePair(ctx, text, next, o)
				text += "\n" + next
			} else {
				e, err = p.tok.EncodeText(ctx, text, o)
			}
			if ctx.Err() != nil {
				return nil, err
			}
			c = format.Reference{Prompt: text, Tokens: e.IDs, Types: e.TypeIDs}
		}
		if len(c.Tokens) == 0 || int(slices.Max(c.Tokens)) >= p.Model.Vocab {
			c = format.Reference{Tokens: p.anyTokens(i, min(64, p.Model.MaxPos))}
		}
		if !slices.ContainsFunc(c.Types, func(t int32) bool { return t != 0 }) || !slices.ContainsFunc(g.Inputs, func(v graph.Value) bool { return v.Name == encoder.TypeIDs }) {
			c.Types = nil
		}
		n := min(1, rows)
		if each {
			n = share(len(c.Tokens), rows, len(texts)-i)
		}
		if n == 0 {
			break
		}
		rows -= n
		c.Rows = firstRows(n)
		refs.Cases = append(refs.Cases, c)
	}
	return refs, nil
}

// tokenKinds is how many kinds of tokens an encoder tells apart, 0 if it does not ask for them.
func tokenKinds(g *graph.Graph) int {
	params := g.ParamMap()
	for i := range g.Nodes {
		if n := &g.Nodes[i]; n.Op.Kind() == "embedding" && n.In[0] == encoder.TypeIDs {
			return params[n.Params[0]].Shape[0]
		}
	}
	return 0
}

// refer fills in the results of the FP32 model.
func (p *Plan) refer(ctx context.Context, refs *format.References, see func(n *graph.Node, out graph.Tensor)) error {
	g := p.Model.Graph
	output := cmp.Or(refs.Output, g.Outputs[0])
	at := slices.IndexFunc(g.Nodes, func(n graph.Node) bool { return slices.Contains(n.Out, output) })
	opt := ref.Options{Threads: p.Opt.Threads, Dot: linear.MatMul()}
	if _, ok := g.Nodes[at].Op.(graph.Linear); ok && at == len(g.Nodes)-1 {
		opt.Block = refBlock
	}
	for left := refs.Cases; len(left) > 0; {
		n, tokens := 0, 0
		for n < len(left) && (n == 0 || tokens+len(left[n].Tokens) <= refPass) {
			tokens += len(left[n].Tokens)
			n++
		}
		var bad error
		opt.Tap = func(node *graph.Node, seq int, _ []graph.Tensor, out graph.Tensor) {
			if see != nil {
				see(node, out)
			}
			if node.Name == g.Nodes[at].Name && bad == nil {
				bad = addRows(refs, &left[seq], out)
			}
		}
		seqs := make([]ref.Seq, n)
		for i, c := range left[:n] {
			seqs[i] = ref.Seq{IDs: c.Tokens, Types: c.Types, Rows: c.Rows}
		}
		b := ref.Texts(g, seqs...)
		if _, err := ref.Run(ctx, g, graph.Views(g, p.ckpt), b, opt); err != nil {
			return err
		}
		if bad != nil {
			return bad
		}
		left = left[n:]
	}
	return nil
}

// addRows adds the next rows of a text's results.
func addRows(refs *format.References, c *format.Reference, out graph.Tensor) error {
	for r := range out.Rows() {
		row := out.Row(r)
		for id, x := range row {
			if x-x != 0 {
				return fmt.Errorf("%w: the FP32 model overflows on the reference text %.40q: value %d of %s is %v (--references -1 leaves these texts out)", ErrInput, c.Prompt, id, cmp.Or(refs.Output, "its logits"), x)
			}
		}
		if refs.Top == 0 {
			c.Preds = append(c.Preds, format.Prediction{Logits: slices.Clone(row)})
			continue
		}
		next := int32(-1)
		if refs.Output == "" {
			next = c.Tokens[c.Rows[len(c.Preds)]+1]
		}
		c.Preds = append(c.Preds, format.NewPrediction(row, next, refs.Top, refs.Tail))
	}
	return nil
}
