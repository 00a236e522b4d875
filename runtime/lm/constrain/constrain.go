// Package constrain keeps generated text within a language: JSON of a schema, a
// regular expression, a choice, a grammar. Before each token it says which tokens
// of the vocabulary may follow.
//
//	v := constrain.NewVocab(n, tok.Bytes, eos)           // once a model
//	g, err := v.Compile(constrain.Spec{Regex: "[a-c]{3}"}) // once a request, or from a Cache
//	c := g.Start()                                       // one text
//	err = c.Mask(mask)                                   // bit i: token i may come
//	err = c.Accept(id)
//	if c.Done() { ... }                                  // nothing can follow
//
// A language is a pushdown automaton over bytes: rules whose bodies are finite automata with edges for bytes
// and for calls of rules. Its states are built while they are met, and kept. A mask is a walk over the vocabulary
// as a trie of bytes; what can be told from the innermost rule alone is kept with that rule's state, so that inside
// a JSON string, where most of a vocabulary may follow, each schema and each depth shares one walk.
//
// Whoever sends a schema may be hostile: sizes, states and work are bounded (see Limits), and what goes beyond is
// an error of Compile, or of Mask where only the text leads there.
package constrain

import (
	"errors"
	"fmt"
	"slices"
)

// ErrSpec is matched by errors about what a Spec asks for: broken syntax, a keyword that is not supported, a
// language without any text, more than the limits allow.
var ErrSpec = errors.New("constraint")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrSpec}, args...)...)
}

// Spec says what a text must be: exactly one field is set, or Tools besides, and either is written. Reasoning may be set with any.
type Spec struct {
	JSON    bool     // any JSON object, compact but for one space after commas and colons
	Schema  []byte   // JSON that is valid under this JSON Schema (see docs/structured.md), in the schema's order of properties
	Regex   string   // a text that this regular expression (RE2's syntax) matches wholly
	Choice  []string // one of these texts
	Grammar string   // a text of this grammar's rule root, in the notation of llama.cpp (GBNF)
	Tools   *Tools   // calls of tools

	Reasoning *Reasoning // what may stand before the text; nil: nothing
}

// Reasoning is what a model writes before its answer, between marks.
type Reasoning struct {
	Open, Close string // Open "": only where the text begins inside
	Inside      bool   // it has begun already
}

// Key tells specs apart, for caches.
func (s Spec) Key() string {
	key := fmt.Sprintf("%v %q %q %q %q", s.JSON, s.Schema, s.Regex, s.Choice, s.Grammar)
	if t := s.Tools; t != nil {
		key += fmt.Sprintf(" %p %v %v %q", t.Format, t.Single, t.Free, t.List)
	}
	if r := s.Reasoning; r != nil {
		key += fmt.Sprintf(" %q %q %v", r.Open, r.Close, r.Inside)
	}
	return key
}

// Compile makes a grammar of a spec, or says what is wrong with it (ErrSpec).
func (v *Vocab) Compile(s Spec) (g *Grammar, err error) {
	set := 0
	for _, is := range []bool{s.JSON, s.Schema != nil, s.Regex != "", s.Choice != nil, s.Grammar != ""} {
		if is {
			set++
		}
	}
	if set > 1 || set == 0 && s.Tools == nil {
		return nil, refuse("give one of a JSON schema, a regular expression, a choice, a grammar, tools, not %d of them", set)
	}
	b := newBuilder()
	defer b.recover(&err)
	var root int32
	switch {
	case s.JSON:
		root = b.jsonObject()
	case s.Schema != nil:
		root = b.schema(s.Schema)
	case s.Regex != "":
		root = b.rule("root", b.text(b.regex(s.Regex, true), plain))
	case s.Choice != nil:
		root = b.choice(s.Choice)
	case s.Grammar != "":
		root = b.grammar(s.Grammar)
	case s.Tools.Free:
		return newGrammar(v, b, b.rule("root", b.tools(s.Tools).free(s.Reasoning)))
	}
	if s.Tools != nil {
		answer := b.tools(s.Tools).forced()
		if set > 0 {
			answer = alt(ref(root), answer)
		}
		root = b.rule("answer", answer)
	}
	if s.Reasoning != nil {
		root = b.rule("answer", b.behind(s.Reasoning, ref(root)))
	}
	return newGrammar(v, b, root)
}

func (b *builder) choice(list []string) int32 {
	if len(list) == 0 {
		b.fail("no choices")
	}
	if slices.Contains(list, "") {
		b.fail("a choice is empty")
	}
	return b.rule("root", anyOf(list))
}
