package constrain

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// regex is the language of an expression, in RE2's syntax and the \u1234 of ECMAScript. whole: of the texts that
// it matches from end to end; else of those with a match anywhere in them, as the pattern of a JSON Schema.
func (b *builder) regex(text string, whole bool) *dfa {
	if len(text) > maxSpec {
		b.fail("a regular expression of %d bytes, %d at most", len(text), maxSpec)
	}
	tree, err := syntax.Parse(ecmaEscapes(text), syntax.Perl)
	if err != nil {
		b.fail("regular expression %.100q: %s", text, reason(err))
	}
	n := &nfa{b: b}
	start, end := n.node(), n.node()
	n.draw(tree, start, end)
	if !whole {
		first, last := n.node(), n.node()
		n.edge(first, first, anything)
		n.eps(first, start)
		n.edge(last, last, anything)
		n.eps(end, last)
		start, end = first, last
	}
	return n.determine(start, end)
}

// reason words what is special about these expressions.
func reason(err error) string {
	e, ok := err.(*syntax.Error)
	if !ok {
		return err.Error()
	}
	switch {
	case e.Code == syntax.ErrInvalidPerlOp && (strings.HasPrefix(e.Expr, "(?=") || strings.HasPrefix(e.Expr, "(?!") || strings.HasPrefix(e.Expr, "(?<")):
		return "look-around " + strconv.Quote(e.Expr) + " is not supported"
	case e.Code == syntax.ErrInvalidEscape && len(e.Expr) > 1 && e.Expr[1] >= '1' && e.Expr[1] <= '9':
		return "back reference " + strconv.Quote(e.Expr) + " is not supported"
	}
	return e.Error()
}

// ecmaEscapes writes \u1234 and \/ as RE2 knows them.
func ecmaEscapes(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			out.WriteByte(s[i])
			continue
		}
		i++
		if s[i] == 'u' && i+4 < len(s) {
			if _, err := strconv.ParseUint(s[i+1:i+5], 16, 16); err == nil {
				out.WriteString(`\x{` + s[i+1:i+5] + `}`)
				i += 4
				continue
			}
		}
		out.WriteString(`\` + s[i:i+1])
	}
	return out.String()
}

// holding are the texts with a word in them.
func (b *builder) holding(word string) *dfa { return b.regex(regexp.QuoteMeta(word), false) }

var anything = []runes{{0, utf8.MaxRune}}

// nfa is an automaton over characters, on the way from an expression to a dfa.
type nfa struct {
	b    *builder
	list []nfaNode
}

type nfaNode struct {
	edges []nfaEdge
	eps   []int32
	begin []int32 // where the text has to begin here
	end   []int32 // where it has to end here
}

type nfaEdge struct {
	on []runes // sorted, apart from each other
	to int32
}

func (n *nfa) node() int32 {
	if len(n.list) == maxNodes {
		n.b.fail("a regular expression with more than %d states", maxNodes)
	}
	n.b.spend(1)
	n.list = append(n.list, nfaNode{})
	return int32(len(n.list) - 1)
}

func (n *nfa) eps(from, to int32) { n.list[from].eps = append(n.list[from].eps, to) }

func (n *nfa) edge(from, to int32, on []runes) {
	n.list[from].edges = append(n.list[from].edges, nfaEdge{on, to})
}

// draw adds an expression between two nodes.
func (n *nfa) draw(e *syntax.Regexp, from, to int32) {
	switch e.Op {
	case syntax.OpNoMatch:
	case syntax.OpEmptyMatch:
		n.eps(from, to)
	case syntax.OpLiteral:
		for _, r := range e.Rune {
			next := n.node()
			n.edge(from, next, folded(r, e.Flags&syntax.FoldCase != 0))
			from = next
		}
		n.eps(from, to)
	case syntax.OpCharClass:
		var on []runes
		for i := 0; i < len(e.Rune); i += 2 {
			on = append(on, runes{e.Rune[i], e.Rune[i+1]})
		}
		n.edge(from, to, on)
	case syntax.OpAnyCharNotNL:
		n.edge(from, to, []runes{{0, '\n' - 1}, {'\n' + 1, utf8.MaxRune}})
	case syntax.OpAnyChar:
		n.edge(from, to, anything)
	case syntax.OpBeginText:
		n.list[from].begin = append(n.list[from].begin, to)
	case syntax.OpEndText:
		n.list[from].end = append(n.list[from].end, to)
	case syntax.OpBeginLine, syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		n.b.fail("regular expression: %s is not supported", e)
	case syntax.OpCapture:
		n.draw(e.Sub[0], from, to)
	case syntax.OpConcat:
		for _, sub := range e.Sub {
			next := n.node()
			n.draw(sub, from, next)
			from = next
		}
		n.eps(from, to)
	case syntax.OpAlternate:
		for _, sub := range e.Sub {
			in := n.node()
			n.eps(from, in)
			n.draw(sub, in, to)
		}
	case syntax.OpStar:
		n.repeat(e.Sub[0], 0, -1, from, to)
	case syntax.OpPlus:
		n.repeat(e.Sub[0], 1, -1, from, to)
	case syntax.OpQuest:
		n.repeat(e.Sub[0], 0, 1, from, to)
	case syntax.OpRepeat:
		n.repeat(e.Sub[0], e.Min, e.Max, from, to)
	}
}

func (n *nfa) repeat(e *syntax.Regexp, least, most int, from, to int32) {
	for range least {
		next := n.node()
		n.draw(e, from, next)
		from = next
	}
	if most < 0 {
		loop := n.node()
		n.eps(from, loop)
		n.draw(e, loop, loop)
		n.eps(loop, to)
		return
	}
	for range most - least {
		in, next := n.node(), n.node()
		n.eps(from, to)
		n.eps(from, in)
		n.draw(e, in, next)
		from = next
	}
	n.eps(from, to)
}

// folded is a character, and those that differ from it in case alone.
func folded(r rune, fold bool) []runes {
	list := []runes{{r, r}}
	if fold {
		for f := simpleFold(r); f != r; f = simpleFold(f) {
			list = append(list, runes{f, f})
		}
		slices.SortFunc(list, func(a, b runes) int { return int(a.lo - b.lo) })
	}
	return list
}
