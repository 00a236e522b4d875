package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/spf13/cobra"

	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime/lm"
	"qpt/runtime/lm/corpus"
)

func evalCommand(o *options) *cobra.Command {
	var path string
	var window int
	v := &pictureEval{options: o}
	c := &cobra.Command{
		Use:   "eval FILE.qpt (--text FILE | --images PATH)",
		Short: "Perplexity of a text, accuracy on pictures",
		Long: `eval computes perplexity. A .jsonl file is a list of documents, a line each (with
the field "text", "messages" or "ids"), tokenised alone; any other file is one
stream. Token lists are cut into windows of W tokens (the model's context less
one, or --window), the last one shorter; each window w is fed as [bos] + w[:-1]
and all its tokens are scored. Where the model has no begin-of-text token, the
token before the window takes its place, and the first token of a text is not
scored. The standard error takes windows as independent.

With --images (a folder, a picture, or a .safetensors file of images) it tells how many right classes a classifier
meets, as --labels or the file has them; --against FILE.qpt, the same network in FP32, adds how often both name the same
class, the SQNR of the logits and the pictures whose class changes.`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &o.model); err != nil {
				return err
			}
			if v.images != "" || v.labels != "" || v.against != "" {
				if path != "" || v.images == "" {
					return fmt.Errorf("%w: either --text, or --images with --labels and --against", cli.ErrUsage)
				}
				return v.run(c.Context())
			}
			if path == "" {
				return fmt.Errorf("%w: --text is missing: which file?", cli.ErrUsage)
			}
			if window < 0 {
				return fmt.Errorf("%w: --window %d: must not be negative", cli.ErrUsage, window)
			}
			m, err := o.open()
			if err != nil {
				return err
			}
			defer m.Close()
			docs, protocol, err := readDocs(c.Context(), m, path)
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(docs, func(ids []int32) bool { return len(ids) > 0 }) {
				return fmt.Errorf("%w: %s: no text to score", errInput, path)
			}
			bar := ui.NewProgress(o.Verbosity(), "scoring", 1000, nil)
			p, err := m.Perplexity(c.Context(), docs, window, func(done, total int) { bar.Set(int64(1000 * done / total)) })
			bar.Done()
			if err != nil {
				return err
			}
			w := window
			if w <= 0 {
				w = m.Meta.Model.Context - 1
			}
			if o.JSON {
				return cli.Document(struct {
					Schema   int         `json:"schema"`
					Command  string      `json:"command"`
					Model    string      `json:"model"`
					Text     string      `json:"text"`
					Protocol string      `json:"protocol"`
					Window   int         `json:"window"`
					Tokens   int         `json:"tokens"`
					PPL      number      `json:"perplexity"`
					NLL      number      `json:"nll_mean"`
					StdErr   number      `json:"nll_stderr"`
					Top1     number      `json:"top1"`
					Windows  []windowDoc `json:"windows"`
				}{1, "eval", o.model, path, protocol, w, p.Tokens, number(p.Value()), number(p.NLL), number(p.StdErr), number(p.Top1), windowDocs(p.Windows)})
			}
			within := func(factor float64) string { // one window alone tells nothing of the error
				if math.IsNaN(p.StdErr) {
					return ""
				}
				return fmt.Sprintf(" +- %.5f", factor*p.StdErr)
			}
			fmt.Fprintf(ui.Stdout, "perplexity  %.5f%s\n", p.Value(), within(p.Value()))
			fmt.Fprintf(ui.Stdout, "mean NLL    %.5f%s nats, next-token top-1 %.4f\n", p.NLL, within(1), p.Top1)
			fed := "as [bos] + w[:-1]"
			if m.Meta.Model.BOS < 0 {
				fed = "behind the token before it (no begin-of-text token: the first token of a text is not scored)"
			}
			fmt.Fprintf(ui.Stdout, "protocol    %s, %d tokens in %d windows of at most %d, each fed %s\n", protocol, p.Tokens, len(p.Windows), w, fed)
			return nil
		},
	}
	cli.CompleteFiles(c, "", "qpt")
	c.Flags().StringVar(&path, "text", "", "text `FILE`, or .jsonl documents")
	c.Flags().StringVar(&v.images, "images", "", "pictures: a `PATH` of a folder, a file, or .safetensors with images")
	c.Flags().StringVar(&v.labels, "labels", "", "`FILE` with lines NAME CLASS: the right classes of pictures")
	c.Flags().StringVar(&v.against, "against", "", "`FILE.qpt` of the same network in FP32")
	c.Flags().IntVar(&window, "window", 0, "tokens a window (default: the model's context less one)")
	return c
}

// windowDoc is the JSON form of lm.Window.
type windowDoc struct {
	Tokens int    `json:"tokens"`
	NLL    number `json:"nll_sum"`
}

func windowDocs(list []lm.Window) (docs []windowDoc) {
	for _, w := range list {
		docs = append(docs, windowDoc{w.Tokens, number(w.NLL)})
	}
	return docs
}

// maxText bounds the texts that are scored: they are read whole.
const maxText = 256 << 20

// readDocs tokenizes a text file.
func readDocs(ctx context.Context, m *lm.Model, path string) (docs [][]int32, protocol string, err error) {
	tok, err := m.Tokenizer()
	if err != nil && !corpus.Lines(path) { // lines may hold ids
		return nil, "", err
	}
	data, err := corpus.ReadFile(ctx, path, maxText)
	if err != nil {
		return nil, "", inputError(err)
	}
	docs, err = corpus.NewReader(tok, m.Vocab()).File(ctx, path, data)
	protocol = "stream"
	if corpus.Lines(path) {
		protocol = "documents"
	}
	return docs, protocol, inputError(err)
}

// inputError tells that the contents of a file are at fault, if they are.
func inputError(err error) error {
	if errors.Is(err, corpus.ErrText) {
		return fmt.Errorf("%w: %w", errInput, err)
	}
	return err
}
