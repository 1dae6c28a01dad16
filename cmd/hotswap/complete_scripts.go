package main

// completionScripts ask `hotswap complete` for what could stand at the cursor.
// What they do themselves is to complete file names.
var completionScripts = map[string]string{
	"bash": `# bash completion for hotswap
_hotswap() {
	local line word="${COMP_WORDS[COMP_CWORD]}" IFS=$'\n'
	[ "$word" = "=" ] && word=
	COMPREPLY=()
	while read -r line; do
		if [ "$line" = ":files" ]; then
			compopt -o filenames 2>/dev/null
			COMPREPLY+=($(compgen -f -- "$word"))
		else
			COMPREPLY+=("${line%%$'\t'*}")
		fi
	done < <(command hotswap complete bash -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _hotswap hotswap
`,
	"zsh": `#compdef hotswap
# zsh completion for hotswap
_hotswap() {
	local line files=0
	local -a described
	for line in "${(@f)$(command hotswap complete zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		if [[ $line == :files ]]; then
			files=1
		elif [[ -n $line ]]; then
			described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
		fi
	done
	(( $#described )) && _describe -t values value described
	(( files )) && _files
}
if [[ $funcstack[1] == _hotswap ]]; then
	_hotswap "$@"
else
	compdef _hotswap hotswap
fi
`,
	"fish": `# fish completion for hotswap
function __hotswap_complete
	set -l word (commandline -ct)
	for line in (command hotswap complete fish -- (commandline -opc)[2..-1] $word 2>/dev/null)
		if test "$line" = :files
			__fish_complete_path $word
		else
			echo $line
		end
	end
end
complete -c hotswap -f -a '(__hotswap_complete)'
`,
}
