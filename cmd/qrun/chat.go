package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"qpt/internal/cli"
	"qpt/internal/ui"
	"qpt/runtime/lm"
	"qpt/runtime/lm/sample"
)

// chatOptions are the flags of chat.
type chatOptions struct {
	system string
	opt    lm.GenerateOptions
}

func chatCommand(o *options) *cobra.Command {
	var ch chatOptions
	c := &cobra.Command{
		Use:   "chat FILE.qpt",
		Short: "Talk with a model",
		Long: `chat talks with a model in the terminal. An interrupt (Ctrl-C) stops an answer;
at the prompt it ends the conversation, as Ctrl-D and /bye do. A line that ends
with \ goes on in the next; """ begins and ends a message of several lines.
Where stdin is no terminal, each line of it is a message.

` + chatHelp,
		Example: `  qrun chat m.qpt
  qrun chat m.qpt --system "Answer in one sentence." --temperature 0.7
  printf 'What is an int8?\nWhy is it fast?\n' | qrun chat m.qpt`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := cli.ModelArg(c, args, &o.model); err != nil {
				return err
			}
			return runChat(c.Context(), o, &ch)
		},
	}
	cli.CompleteFiles(c, "", "qpt")
	f := c.Flags()
	f.StringVar(&ch.system, "system", "", "a `TEXT` that the model reads before the conversation")
	f.IntVarP(&ch.opt.MaxTokens, "max-tokens", "n", 0, "tokens of an answer at most (0: until the context is full)")
	f.StringArrayVar(&ch.opt.Stop, "stop", nil, "end an answer before this `TEXT` (repeatable)")
	sampling(f, &ch.opt.Sample)
	return c
}

const chatHelp = `/new            forget the conversation
/again          answer the last message anew
/system TEXT    set the system prompt (without TEXT: take it away), and forget the conversation
/stats          what the last answer took
/help           these
/bye            end; so does Ctrl-D`

func runChat(ctx context.Context, o *options, ch *chatOptions) error {
	switch _, err := sample.New(ch.opt.Sample); {
	case err != nil:
		return fmt.Errorf("%w: %w", cli.ErrUsage, err)
	case ch.opt.MaxTokens < 0:
		return fmt.Errorf("%w: --max-tokens %d: must not be negative", cli.ErrUsage, ch.opt.MaxTokens)
	case o.JSON:
		return fmt.Errorf("%w: chat prints a conversation, no JSON document: see qrun generate --json", cli.ErrUsage)
	}
	m, err := o.open()
	if err != nil {
		return err
	}
	defer m.Close()
	c, err := newConversation(m, ch.opt, ch.system)
	if err != nil {
		return err
	}
	terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stderr.Fd()))
	var in lines = stream{bufio.NewReader(os.Stdin)}
	if terminal {
		in = newConsole()
		if !o.Quiet {
			fmt.Fprintf(os.Stderr, "%s, %s; /help for commands\n", m.Meta.Model.Name, m.Meta.Recipe.Scheme)
		}
	}
	if c.tok.ChatTemplate() == "" && !o.Quiet {
		ui.Note("qrun", "the file has no chat template: the model continues the messages, one a line")
	}
	return talk(ctx, c, listen(ctx, in), ui.Stdout, terminal && !o.Quiet)
}

// talk answers messages until there are no more. stats: tell what answers took.
func talk(ctx context.Context, c *conversation, next func() (string, error), out io.Writer, stats bool) error {
	var last *text
	for {
		ask, err := next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if command, is := strings.CutPrefix(ask, "/"); is {
			name, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
			switch name {
			case "bye", "exit", "quit":
				return nil
			case "new", "clear":
				c.forget()
				continue
			case "system":
				c.system = strings.TrimSpace(rest)
				c.forget()
				continue
			case "stats":
				if last != nil {
					fmt.Fprintln(os.Stderr, last)
				}
				continue
			case "again":
				if len(c.list) < 2 {
					ui.Note("qrun", "nothing was said yet")
					continue
				}
				ask = c.list[len(c.list)-2].Content
				c.list = c.list[:len(c.list)-2]
				c.opt.Sample.Seed++
			case "help", "?":
				fmt.Fprintln(os.Stderr, chatHelp)
				continue
			default:
				ui.Note("qrun", "there is no command /%s: see /help", name)
				continue
			}
		}
		began := false
		t, err := c.turn(ctx, ask, func(s string) error {
			if !began { // models begin with a space or a line end
				s = strings.TrimLeft(s, " \n")
			}
			began = began || s != ""
			_, err := io.WriteString(out, s)
			return err
		})
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, errTooLong):
			ui.Note("qrun", "%v", err)
			continue
		case err != nil:
			return err
		}
		if _, err := fmt.Fprintln(out); err != nil {
			return err
		}
		if last = t; stats {
			fmt.Fprintf(os.Stderr, "[%s]\n", t)
		}
	}
}
