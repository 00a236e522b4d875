package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/runtime/encoder"
)

func classifyCommand(o *options) *cobra.Command {
	x := &texts{options: o}
	var top int
	var labels string
	c := &cobra.Command{
		Use:   "classify FILE.qpt [TEXT | PICTURE ..]",
		Short: "Classes of pictures, of texts or of their tokens, scores of pairs",
		Long: `classify writes a line for each text: its likeliest label and the score, or with --top N
as many. A model of one label, such as a cross-encoder, gives the score alone. Lines of a
.jsonl file are {"text": .., "pair": ..}, with a pair where the model reads two texts. A model that
classifies tokens gives a line for each token, and an empty one after each text.
Of pictures (.jpg, .png, folders of them, .safetensors with images) it tells the five likeliest
classes, and with --labels FILE, lines NAME CLASS, how many are met.`,
		Example: `  qrun classify sentiment.qpt "What a film!"
  qrun classify resnet.s8s8.qpt cat.jpg dog.png
  qrun classify reranker.qpt --input pairs.jsonl
  echo "Angela lives in Berlin" | qrun classify ner.qpt`,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case top < 1:
				return fmt.Errorf("%w: --top %d: must be 1 or more", cli.ErrUsage, top)
			case o.JSON && x.output != "":
				return fmt.Errorf("%w: --json writes one document on stdout: leave out --output", cli.ErrUsage)
			}
			if paths := x.pictures(args); paths != nil {
				r := &runOptions{options: o, labels: labels, top: top}
				if !c.Flags().Changed("top") {
					r.top = 5
				}
				return r.classes(c.Context(), "classify", paths...)
			}
			if labels != "" {
				return fmt.Errorf("%w: --labels is for pictures", cli.ErrUsage)
			}
			m, in, err := x.open(c, args)
			if err != nil {
				return err
			}
			defer m.Close()
			doc := classifyDoc{Schema: 1, Command: "classify", Model: o.model}
			each := func(t *textDoc) { doc.Texts = append(doc.Texts, *t) }
			done := func(err error) error { return err }
			if !o.JSON {
				w, from, end, err := x.results(len(in), func(r io.Reader) (int, int64, error) { return countLines(r, m.PerToken()) })
				if err != nil {
					return err
				}
				in, done = in[from:], end
				each = func(t *textDoc) { t.print(w) }
			}
			err = func() error {
				for part := range slices.Chunk(in, batches) {
					list, err := classify(c.Context(), m, part, top)
					if err != nil {
						return taskError(err)
					}
					for i := range list {
						each(&list[i])
					}
				}
				return nil
			}()
			if err = done(err); err != nil || !o.JSON {
				return err
			}
			return cli.Document(doc)
		},
	}
	x.flags(c)
	c.Flags().IntVar(&top, "top", 1, "labels of a text or token (of a picture 5), the likeliest first")
	c.Flags().StringVar(&labels, "labels", "", "`FILE` with lines NAME CLASS: the right classes of pictures")
	return c
}

type classifyDoc struct {
	Schema  int       `json:"schema"`
	Command string    `json:"command"`
	Model   string    `json:"model"`
	Texts   []textDoc `json:"texts"`
}

// textDoc is what classify says of a text: its labels, or its tokens with theirs.
type textDoc struct {
	Labels []labelDoc `json:"labels,omitempty"`
	Tokens []tokenDoc `json:"tokens,omitempty"`
}

type tokenDoc struct {
	Token  string     `json:"token"`
	Labels []labelDoc `json:"labels"`
}

type labelDoc struct {
	Label string `json:"label"`
	Score number `json:"score"`
}

func classify(ctx context.Context, m *encoder.Model, in []encoder.Input, top int) (list []textDoc, err error) {
	if m.PerToken() {
		tok, err := m.Tokenizer()
		if err != nil {
			return nil, err
		}
		texts, err := m.ClassifyTokens(ctx, in)
		if err != nil {
			return nil, err
		}
		for _, t := range texts {
			var doc textDoc
			for i, id := range t.IDs {
				name, _ := tok.Token(id)
				doc.Tokens = append(doc.Tokens, tokenDoc{name, best(m, t.Scores[i], top)})
			}
			list = append(list, doc)
		}
		return list, nil
	}
	scores, err := m.Classify(ctx, in)
	for _, s := range scores {
		list = append(list, textDoc{Labels: best(m, s, top)})
	}
	return list, err
}

// best are the top labels by their scores.
func best(m *encoder.Model, scores []float32, top int) (list []labelDoc) {
	labels := m.Labels()
	for i, s := range scores {
		l := labelDoc{Label: fmt.Sprint(i), Score: number(s)}
		if i < len(labels) {
			l.Label = labels[i]
		}
		list = append(list, l)
	}
	slices.SortStableFunc(list, func(a, b labelDoc) int { return cmp.Compare(b.Score, a.Score) })
	return list[:min(top, len(list))]
}

// print writes what was said of a text; a bufio.Writer keeps its error.
func (t *textDoc) print(w *bufio.Writer) {
	line := func(labels []labelDoc) (s string) {
		for i, l := range labels {
			if i > 0 {
				s += "\t"
			}
			s += fmt.Sprintf("%s\t%.6g", l.Label, float64(l.Score))
		}
		return s
	}
	if t.Tokens == nil {
		fmt.Fprintln(w, line(t.Labels))
		return
	}
	for _, k := range t.Tokens {
		fmt.Fprintf(w, "%s\t%s\n", k.Token, line(k.Labels))
	}
	fmt.Fprintln(w)
}
