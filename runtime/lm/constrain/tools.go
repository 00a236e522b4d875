package constrain

import (
	"fmt"
	"strings"

	"qpt/runtime/lm/calls"
)

// Tools asks for calls of tools in the format of a family of models, in which calls.Reader finds them.
type Tools struct {
	List   []Tool        // that may be called
	Format *calls.Format // with a Frame; nil: calls.List
	Single bool          // one call, not up to maxCalls
	Free   bool          // there may be no call, and text round them: only what begins like a call has to be one
}

// Tool is a function. Parameters is the JSON Schema of its arguments; nil: any object.
type Tool struct {
	Name       string
	Parameters []byte
}

// maxCalls ends lists of calls for models that would go on for ever.
const maxCalls = 16

// Special stands in a vocabulary before the spelling of a special token: a byte that is part of no text, so that only grammars
// that name it have special tokens in their texts.
const Special = "\xff"

// toolkit draws calls.
type toolkit struct {
	*Tools
	b         *builder
	frame     *calls.Frame
	call      expr            // any
	arguments map[string]expr // by tool
}

func (b *builder) tools(t *Tools) *toolkit {
	k := &toolkit{Tools: t, b: b, arguments: map[string]expr{}}
	if t.Format == nil {
		t.Format = calls.List
	}
	if k.frame = t.Format.Frame; k.frame == nil {
		b.fail("calls in the format %s cannot be asked for", t.Format.Name)
	}
	var list []expr
	for _, tool := range t.List {
		k.arguments[tool.Name] = k.argumentsOf(tool)
		list = append(list, seq(k.word(k.frame.Head), lit(k.name(tool)), k.word(k.frame.Middle), k.arguments[tool.Name], k.word(k.frame.Tail)))
	}
	if len(list) == 0 {
		b.fail("no tools to call")
	}
	k.call = ref(b.rule("call", alt(list...)))
	return k
}

// name is how a tool's name is written, in quotes or not.
func (k *toolkit) name(t Tool) string {
	if text := quoted(t.Name); strings.HasSuffix(k.frame.Head, `"`) {
		return text[1 : len(text)-1]
	}
	return t.Name
}

// most is the number of calls.
func (k *toolkit) most() int {
	if k.Single {
		return 1
	}
	return maxCalls
}

// further are more calls between the same marks, and their end.
func (k *toolkit) further() expr {
	if !k.frame.Many {
		return k.word(k.frame.End)
	}
	return seq(rep(seq(k.word(k.frame.Sep), k.call), 0, k.most()-1), k.word(k.frame.End))
}

// between is what stands between two marks, the first of which is not part of it.
func (k *toolkit) between() expr {
	return seq(k.word(k.frame.Begin), k.call, k.further(), k.word(k.Format.Close))
}

// forced is calls and nothing else.
func (k *toolkit) forced() expr {
	if len(k.Format.Open) == 0 || len(k.Format.Bare) > 0 {
		return seq(k.word(k.frame.Begin), k.call, k.further())
	}
	one := seq(k.word(k.Format.Open[0]), k.between())
	if k.frame.Many {
		return one
	}
	return seq(one, rep(seq(opt(lit("\n")), one), 0, k.most()-1))
}

// free is text, in which what begins like calls is calls, behind reasoning.
func (k *toolkit) free(r *Reasoning) expr {
	return func(b *builder, from, to int32) {
		rest := b.node() // behind calls
		behind := to
		if !k.Single && k.Format.Close != "" {
			behind = rest
		}
		var goals []goal
		for _, open := range k.Format.Open {
			goals = append(goals, goal{open, false, behind, k.between()})
		}
		b.until(rest, to, false, goals)
		if len(k.Format.Bare) > 0 {
			for _, tool := range k.List {
				m := k.frame.Middle
				word := k.frame.Begin + k.frame.Head + k.name(tool) + m[:1]
				for _, w := range []string{word, strings.ReplaceAll(word, " ", "")} {
					goals = append(goals, goal{w, true, to, seq(k.word(m[1:]), k.arguments[tool.Name], k.word(k.frame.Tail), k.further())})
				}
			}
		}
		after := b.node() // the reasoning
		b.until(after, to, true, goals)
		switch {
		case r == nil:
			b.eps(from, after)
		case r.Inside:
			b.thought(r)(b, from, after)
		default:
			b.until(from, to, true, append(goals, goal{r.Open, true, after, b.thought(r)}))
		}
	}
}

// word is a text of the frame: the white space in it may be missing, but between words, special tokens may be such or spelled.
func (k *toolkit) word(text string) expr {
	var list []expr
	before := byte(0)
next:
	for text != "" {
		for _, s := range k.Format.Special {
			if rest, ok := strings.CutPrefix(text, s); ok {
				list, text = append(list, mark(s)), rest
				continue next
			}
		}
		c := text[:1]
		text = text[1:]
		switch {
		case c == calls.Number:
			list = append(list, rep(digit, 1, 3))
		case (c == " " || c == "\n") && !(isName(before) && text != "" && isName(text[0])):
			list = append(list, opt(lit(c)))
		default:
			list = append(list, lit(c))
		}
		before = c[0]
	}
	return seq(list...)
}

// mark is a special token, or its spelling.
func mark(s string) expr { return seq(opt(lit(Special)), lit(s)) }

// argumentsOf are a tool's arguments.
func (k *toolkit) argumentsOf(t Tool) expr {
	defer func() { // say whose schema it is
		if r := recover(); r != nil {
			if f, ok := r.(failure); ok {
				r = failure{fmt.Errorf("tool %.60q: %w", t.Name, f.error)}
			}
			panic(r)
		}
	}()
	switch {
	case t.Parameters == nil && k.frame.Pairs != nil:
		return alt(seq())
	case t.Parameters == nil:
		return ref(k.b.jsonObject())
	}
	s, root := k.b.parseSchema(t.Parameters)
	all := []any{root, &object{keys: []string{"type"}, m: map[string]any{"type": "object"}, path: "#"}} // whatever else the schema allows
	if k.frame.Pairs == nil {
		return ref(s.rule(all, "#"))
	}
	var alts []expr
	for _, nodes := range s.expand(all) {
		alts = append(alts, k.pairs(s, s.shape(nodes)))
	}
	return alt(alts...)
}

// pairs are an object's properties one by one: texts as they are, others as JSON.
func (k *toolkit) pairs(s *schema, f *shape) expr {
	p := k.frame.Pairs
	end := strings.TrimRight(p.ValueEnd, "\n")
	required := f.required()
	var list []expr
	for _, name := range f.names() {
		under := f.property(name)
		value := ref(s.rule(under, f.label(name)))
		if isText(under) {
			value = s.plainText(under, strings.TrimSpace(p.ValueEnd))
		}
		pair := seq(k.word(p.Key), lit(name), k.word(p.KeyEnd), lit(p.Value), value, lit(end), opt(lit("\n")))
		if !required[name] {
			pair = opt(pair)
		}
		list = append(list, pair)
	}
	return seq(list...)
}

// isText tells whether a schema says in so many words that a value is a text.
func isText(all []any) bool {
	for _, a := range all {
		if o, ok := a.(*object); ok && o.m["type"] == any("string") {
			return true
		}
	}
	return false
}

// plainText are the texts under some schemas that do not hold the mark behind them.
func (s *schema) plainText(all []any, end string) expr {
	var alts []expr
	for _, nodes := range s.expand(all) {
		f := s.shape(nodes)
		if f.enum != nil {
			var texts []string
			for _, v := range f.enum {
				if text, ok := v.(string); ok {
					texts = append(texts, text)
				}
			}
			alts = append(alts, anyOf(texts))
			continue
		}
		if f.types&typeString == 0 || f.maxLength >= 0 && f.minLength > f.maxLength {
			continue
		}
		d := s.b.both(s.b.lengths(f.minLength, f.maxLength), s.b.holding(end), true)
		for _, p := range f.patterns {
			d = s.b.both(d, p, false)
		}
		alts = append(alts, s.b.text(d, plain))
	}
	return alt(alts...)
}

// goal is a word on the way through a text, and what follows it, which leads to a node.
type goal struct {
	word  string
	first bool // only at the beginning, behind white space
	to    int32
	then  expr
}

// until draws any bytes, special tokens among them, up to the first of the goals' words. The text may end at any place: there to is
// reached, unless it is -1. first: it is the beginning of a text.
func (b *builder) until(from, to int32, first bool, goals []goal) {
	type place struct {
		held  string // of a word
		first bool
	}
	nodes := map[place]int32{{"", first}: from}
	todo := []place{{"", first}}
	ends := make([]int32, len(goals)) // behind the words
	for i, g := range goals {
		ends[i] = b.node()
		g.then(b, ends[i], g.to)
	}
	step := func(at place, c byte) int32 {
		held := at.held + string([]byte{c})
		next := place{}
		if at.first && at.held == "" && strings.IndexByte(" \n"+Special, c) >= 0 {
			next.first = true
		}
		for i, g := range goals {
			switch {
			case at.first && g.first && held == g.word, !g.first && strings.HasSuffix(held, g.word):
				return ends[i]
			case at.first && g.first && strings.HasPrefix(g.word, held):
				next = place{held, true}
			case !g.first && !next.first:
				for n := min(len(held), len(g.word)-1); n > len(next.held); n-- {
					if strings.HasSuffix(held, g.word[:n]) {
						next.held = g.word[:n]
					}
				}
			}
		}
		if _, ok := nodes[next]; !ok {
			nodes[next] = b.node()
			todo = append(todo, next)
		}
		return nodes[next]
	}
	for len(todo) > 0 {
		at := todo[0]
		todo = todo[1:]
		node := nodes[at]
		if to >= 0 {
			b.eps(node, to)
		}
		lo, goes := 0, step(at, 0)
		for c := 1; c <= 256; c++ {
			if c < 256 && step(at, byte(c)) == goes {
				continue
			}
			if b.edge(node, byte(lo), byte(c-1), goes); c < 256 {
				lo, goes = c, step(at, byte(c))
			}
		}
	}
}

// thought is reasoning that has begun, up to its end.
func (b *builder) thought(r *Reasoning) expr {
	return func(b *builder, from, to int32) { b.until(from, -1, false, []goal{{r.Close, false, to, seq()}}) }
}

// behind is what follows reasoning, which there may be, or has to be if it has begun.
func (b *builder) behind(r *Reasoning, answer expr) expr {
	then := seq(b.thought(r), rep(lit("\n"), 0, 2), answer)
	switch {
	case r.Inside:
		return then
	case r.Open == "":
		return answer
	}
	return alt(answer, seq(rep(lit("\n"), 0, 2), mark(r.Open), then))
}
