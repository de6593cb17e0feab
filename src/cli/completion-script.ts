/** What makes a shell ask `vtepctl __complete LINE`, whose answer has a word a line. */

export const COMPLETE = "__complete";

const BASH = `# vtepctl completion bash > /etc/bash_completion.d/vtepctl
_vtepctl() {
    local IFS=$'\\n'
    # The line rather than its words, which bash cuts at the colons of a MAC.
    COMPREPLY=($("\${COMP_WORDS[0]}" ${COMPLETE} "\${COMP_LINE:0:COMP_POINT}" 2>/dev/null))
    if [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == */ ]]; then
        compopt -o nospace 2>/dev/null
    fi
    return 0
}
complete -F _vtepctl vtepctl
`;

const ZSH = `#compdef vtepctl
# vtepctl completion zsh > "\${fpath[1]}/_vtepctl", or source it behind compinit
_vtepctl() {
    local -a candidates folders
    # Up to the cursor, which may stand in the middle of a word.
    candidates=(\${(f)"$(\${words[1]} ${COMPLETE} "\${(j: :)words[1,CURRENT-1]} $PREFIX" 2>/dev/null)"})
    folders=(\${(M)candidates:#*/})
    candidates=(\${candidates:#*/})
    compadd -a candidates
    compadd -S '' -a folders
}
# The first use of a file of fpath is the file itself.
if [[ \${funcstack[1]} = _vtepctl ]]; then _vtepctl "$@"; else compdef _vtepctl vtepctl; fi
`;

const FISH = `# vtepctl completion fish > ~/.config/fish/completions/vtepctl.fish
complete -c vtepctl -f -a '(vtepctl ${COMPLETE} (commandline -cp) 2>/dev/null)'
`;

export const COMPLETION_SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH };
