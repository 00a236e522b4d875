package hf

import (
	"strconv"
	"strings"

	"qpt/format/graph"
)

// encoder is all that distinguishes one encoder of text from another: a family's file fills it in
// from its config, and graph builds the model of it with a head. Every token sees all of its own
// text. What is left zero is not there.
type encoder struct {
	vocab, hidden int
	prefix        string                            // of the tensors of the model without its head
	width         int                               // of the embeddings, 0: hidden
	words         string                            // the table's module
	transform     func(b *builder, x string) string // makes hidden values of a token's narrow embedding, before positions and types are added
	positions     *linear
	types         string   // the module of token_type_embeddings
	kinds         int      // of tokens
	always        []linear // rows that every token's embedding has besides
	dropped       int      // id whose embedding is none, and which makes those of its text's others greater (ESM); 0 for none
	embedNorm     *norm
	project       *linear // the embeddings to hidden
	early         bool    // before the norm
	distances     *distances
	conv          *dense // along the text, of what the first layer reads; added to what that gives, and normed
	convSize      int
	blocks        []block
	final         *norm
	pooler        *dense // what the library gives beside the last hidden state
	heads         heads
}

// heads are those that the family's classes put behind it, by what their names end in.
type heads struct {
	sequence, tokens, masked *head
	answers                  *head // nil: qa_outputs
	choice                   *head // nil: sequence
}

// dense is an activated layer, with a norm behind it if there is one.
type dense struct {
	linear
	n    int // values that it gives
	act  string
	norm *norm
}

// head is what a model for a task puts behind an encoder.
type head struct {
	pool   string // of each text, by graph.SequencePool; "": each token
	pooler bool   // takes what the pooler gives, in place of pool
	dense  *dense
	late   bool // pooled behind dense
	out    linear
	n      int    // logits
	scores string // what the logits are made into: "softmax", "sigmoid", "" for nothing
}

// Names of values that commands and the library look for.
const (
	lastHidden = "last_hidden_state"  // [R, hidden]
	pooled     = "pooler_output"      // [S, hidden]
	embedding  = "sentence_embedding" // [S, width]
	logits     = "logits"             // [S, labels] or [R, labels]
	scores     = "scores"             // the shape of logits
)

// graph builds the model: with a head its logits, else an embedding of each text.
func (e *encoder) graph(h *head, s *sentence) (*graph.Graph, error) {
	b := &builder{Builder: graph.NewBuilder(), hidden: e.hidden}
	t, r := b.Symbol("T"), b.Symbol("R")
	b.Symbol("S")
	b.ids = b.Input("ids", graph.Int, t)
	types := ""
	if e.types != "" {
		types = b.Input("token_type_ids", graph.Int, t)
	}
	b.pos = b.Input("pos", graph.Int, t)
	rows := b.Input("rows", graph.Int, r)

	width := e.hidden
	if e.width > 0 {
		width = e.width
	}
	x := b.Node(e.words, graph.Embedding{}, []string{b.ids}, b.Param(e.words+".weight", e.vocab, width))
	if e.dropped > 0 {
		x = e.drop(b, x)
	}
	if e.transform != nil {
		x, width = e.transform(b, x), e.hidden
	}
	if p := e.positions; p != nil {
		at := b.Node(p.name, graph.Embedding{}, []string{b.pos}, b.matrix(*p, p.view.Shape[0]-p.view.From, width))
		x = b.Binary(p.name+".added", "add", x, at)
	}
	if types != "" {
		at := b.Node(e.types, graph.Embedding{}, []string{types}, b.Param(e.types+".weight", e.kinds, width))
		x = b.Binary(e.types+".added", "add", x, at)
	}
	for _, row := range e.always {
		x = b.Binary(row.name+".added", "add", x, b.Node(row.name, graph.Constant{}, nil, b.matrix(row, 1, width)))
	}
	if !e.early {
		x = b.norm(e.embedNorm, x, width)
	}
	if e.project != nil {
		x = b.linear(*e.project, x, e.hidden, width)
	}
	if e.early {
		x = b.norm(e.embedNorm, x, e.hidden)
	}
	b.Hidden(x)
	if d := e.distances; d != nil {
		d.value = b.norm(d.norm, b.Node(d.table, graph.Constant{}, nil, b.Param(d.table+".weight", d.rows, e.hidden)), e.hidden)
	}
	first := x
	for i := range e.blocks {
		x = e.blocks[i].build(b, x)
		if l := e.conv; l != nil && i == 0 {
			y := b.Node(l.name+".unfold", graph.Unfold{Size: e.convSize}, []string{first})
			y = b.unary(l.name+".act", l.act, b.linear(l.linear, y, l.n, e.convSize*e.hidden))
			x = b.norm(l.norm, b.Binary(l.name+".added", "add", x, y), e.hidden)
		}
		if !e.blocks[i].inner {
			b.Hidden(x)
		}
	}
	x = b.norm(e.final, x, e.hidden)
	b.Output(lastHidden, b.Node(lastHidden, graph.Gather{}, []string{x, rows}))
	b.Hidden(lastHidden)
	if p := e.pooler; p != nil {
		first := b.Node(p.name+".first", graph.SequencePool{Func: "first"}, []string{x})
		b.Output(pooled, b.dense(p, first, e.hidden, pooled))
	}
	return (&reader{h, s}).end(b, x)
}

// build builds the head on the last hidden state x.
func (h *head) build(b *builder, x string) {
	width := b.hidden
	pool := func() { x = b.Node(h.out.name+".pooled", graph.SequencePool{Func: h.pool}, []string{x}) }
	switch {
	case h.pooler:
		x = pooled
	case h.pool == "":
		x = lastHidden
	case !h.late:
		pool()
	}
	if d := h.dense; d != nil {
		x = b.dense(d, x, width, d.name+".made")
		width = d.n
	}
	if h.late {
		pool()
	}
	b.Nodes(h.out.name, graph.Linear{}, []string{x}, []string{b.matrix(h.out, h.n, width), b.vector(h.out.bias, nil, h.n)}, logits)
	b.Output(logits, logits)
	switch h.scores {
	case "softmax":
		b.Output(scores, b.Node(scores, graph.Softmax{}, []string{logits}))
	case "sigmoid":
		b.Output(scores, b.unary(scores, "sigmoid", logits))
	}
}

// dense builds d on x [.., k]; as names what it gives.
func (b *builder) dense(d *dense, x string, k int, as string) string {
	y := b.linear(d.linear, x, d.n, k)
	if d.norm == nil {
		return b.unary(as, d.act, y)
	}
	return b.normAs(as, d.norm, b.unary(d.name+".act", d.act, y), d.n)
}

// model makes the graph of what build says (its masked head tied to the table or not) with the head that the config names.
func (s *shape) encoder(c *config, build func(tied bool) *encoder) *Model {
	c.only("is_decoder", "false")
	c.only("position_embedding_type", `"absolute"`)
	for _, key := range encoderHarmless {
		c.read[key] = true
	}
	if c.read["auto_map"] = true; c.has("auto_map") {
		c.note("auto_map is not followed: code of the checkpoint does not run")
	}
	if c.err != nil {
		return nil
	}
	st, err := c.sentence()
	if err != nil {
		c.err = err
		return nil
	}
	e := build(s.tied)
	list, _ := get[[]string](c, "architectures", "a list of strings")
	pick, labels := c.task(list, &st)
	make := func(e *encoder) *graph.Graph {
		h := pick(&e.heads)
		if h == nil && st.given() || h != nil && !h.pooler {
			e.pooler = nil
		}
		g, err := e.graph(h, &st)
		if err != nil {
			c.bad("graph", "%v", err)
		}
		return g
	}
	m := &Model{Graph: make(e), BOS: -1, MaxPos: st.length(s.positions), Vocab: s.vocab, Labels: labels, prefix: e.prefix, ignorable: encoderIgnorable, aliases: encoderAliases, modules: st.weights()}
	switch h := pick(&e.heads); {
	case h != nil && h == e.heads.masked && s.tied:
		m.tied = &tie{table: e.words + ".weight", head: build(false).heads.masked.out.weight, apart: func() *graph.Graph { return make(build(false)) }}
	case h == nil && e.pooler != nil:
		m.spare = &spare{tensor: e.pooler.weight, without: func() *graph.Graph {
			e := build(s.tied)
			e.pooler = nil
			return make(e)
		}}
	}
	return m
}

// task reads which head is meant, none behind which sentence-transformers pools, and the names of its labels.
func (c *config) task(list []string, st *sentence) (pick func(of *heads) *head, labels []string) {
	pick = func(*heads) *head { return nil }
	if len(list) == 0 || st.given() {
		return pick, nil
	}
	kind := list[0]
	of := func(end string) bool { return strings.HasSuffix(kind, end) }
	switch {
	case of("ForSequenceClassification"):
		var n int
		n, labels = c.labels()
		score := c.scoring(n, st.activation)
		return func(of *heads) *head { h := of.sequence; h.n, h.scores = n, score; return h }, labels
	case of("ForMultipleChoice"): // a logit for each text, to be compared with those of the other choices
		return func(of *heads) *head {
			h := of.choice
			if h == nil {
				h = of.sequence
			}
			h.n = 1
			return h
		}, nil
	case of("ForTokenClassification"):
		var n int
		n, labels = c.labels()
		return func(of *heads) *head { h := of.tokens; h.n, h.scores = n, "softmax"; return h }, labels
	case of("ForQuestionAnswering"): // logits of where an answer begins and ends
		return func(of *heads) *head {
			h := of.answers
			if h == nil {
				h = &head{out: plain("qa_outputs", true)}
			}
			h.n = 2
			return h
		}, nil
	case of("ForMaskedLM"):
		return func(of *heads) *head { return of.masked }, nil
	case of("ForPreTraining"):
		c.note("architectures says %.100q: the model without its head is read", kind)
	case !of("Model"):
		c.unsupported("architectures", "%.100q; known: names that end in Model, ForSequenceClassification, ForTokenClassification, ForQuestionAnswering, ForMultipleChoice, ForMaskedLM", kind)
	}
	return pick, nil
}

// labels reads the number of labels and their names.
func (c *config) labels() (n int, names []string) {
	of, _ := get[map[string]string](c, "id2label", "an object of strings")
	if n = c.int("num_labels", len(of), 0, 1<<16); n == 0 {
		n = 2
	}
	for i := range n {
		name, ok := of[strconv.Itoa(i)]
		if !ok {
			name = "LABEL_" + strconv.Itoa(i)
		}
		names = append(names, name)
	}
	return n, names
}

// scoring says what becomes of the logits of a sequence's classification: what transformers' pipeline does, or of one logit
// what sentence-transformers' CrossEncoder does, whose activation may stand beside the model.
func (c *config) scoring(n int, act string) string {
	kind := c.string("problem_type", "")
	if older := c.object("sentence_transformers").string("activation_fn", c.string("sbert_ce_default_activation_function", "")); act == "" {
		act = older
	}
	switch {
	case strings.HasSuffix(act, ".Identity"), act == "" && kind == "regression":
		return ""
	case strings.HasSuffix(act, ".Sigmoid"), act == "" && (n == 1 || kind == "multi_label_classification"):
		return "sigmoid"
	case act == "":
		return "softmax"
	}
	c.unsupported("activation_fn", "%.100q; known: torch.nn.modules.linear.Identity, torch.nn.modules.activation.Sigmoid", act)
	return ""
}

// encoderHarmless are keys of encoders' configs that say nothing: of training, of other heads, of code that is gone.
var encoderHarmless = strings.Fields(`num_labels problem_type sentence_transformers sbert_ce_default_activation_function
	pooler_fc_size pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type directionality
	classifier_dropout_prob summary_type summary_use_proj summary_activation summary_last_dropout net_structure_type gap_size num_memory_blocks
	padding_idx qa_dropout seq_classif_dropout output_past down_scale_factor model_max_length sinusoidal_pos_embds tie_weights_ n_layers_`)

// encoderAliases are names of old checkpoints: PyTorch's of today, then theirs.
var encoderAliases = [][2]string{{"LayerNorm.weight", "LayerNorm.gamma"}, {"LayerNorm.bias", "LayerNorm.beta"}, {"predictions.bias", "predictions.decoder.bias"}, {"lm_head.bias", "lm_head.decoder.bias"},
	{"predictions.decoder.bias", "predictions.bias"}, {"lm_head.decoder.bias", "lm_head.bias"}}

// encoderIgnorable are tensors that say nothing: numbers that are computed, and heads that are not the one in use.
func encoderIgnorable(tensor string) bool {
	for _, end := range []string{"embeddings.position_ids", "embeddings.token_type_ids", "embeddings.position_embeddings.weight", ".inv_freq"} {
		if strings.HasSuffix(tensor, end) {
			return true
		}
	}
	for _, head := range []string{"cls.", "pooler.", "classifier.", "pre_classifier.", "lm_head.", "lm_predictions.", "mask_predictions.", "qa_outputs.", "vocab_transform.", "vocab_layer_norm.",
		"vocab_projector.", "predictions.", "sop_classifier.", "discriminator_predictions.", "generator_predictions.", "generator_lm_head.", "head.", "decoder."} {
		if strings.HasPrefix(tensor, head) {
			return true
		}
	}
	return false
}
