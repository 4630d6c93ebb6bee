# Tab completion of Mailspool's commands, for bash and zsh: source this file. Made by `make manual`.
if [ -n "$ZSH_VERSION" ]; then
    autoload -U +X compinit && compinit
    autoload -U +X bashcompinit && bashcompinit
fi

_mailspool() {
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path="" words="account allow backup block check firstadmin quarantine restore scan scheduler send settings smtpd spool throttle"
    local word number
    for ((number = 1; number < COMP_CWORD; number++)); do
        word="${COMP_WORDS[number]}"
        case "$word" in
            *manage.py) path="" ;;
            -*) break ;;
            *) _mailspool_words "${path:+$path }$word" && path="${path:+$path }$word" ;;
        esac
    done
    if [ -n "$path" ]; then
        _mailspool_words "$path"
        case "$previous" in -*) _mailspool_values "$path $previous" ;; esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

_mailspool_words() {
    case "$1" in
        "account") words="--json domain user alias list import export" ;;
        "account domain") words="add set show list remove enable disable receiving defaults" ;;
        "account domain add") words="--json --catch-all --max-users --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --bounces-per-hour --bounces-action --spam-filter --spam-low --spam-medium --spam-high --send-as --description" ;;
        "account domain set") words="--json --catch-all --max-users --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --bounces-per-hour --bounces-action --spam-filter --spam-low --spam-medium --spam-high --send-as --description" ;;
        "account domain show") words="--json" ;;
        "account domain list") words="--json" ;;
        "account domain remove") words="--json" ;;
        "account domain enable") words="--json" ;;
        "account domain disable") words="--json" ;;
        "account domain receiving") words="--json" ;;
        "account domain defaults") words="show set propagate" ;;
        "account domain defaults show") words="--json" ;;
        "account domain defaults set") words="--json --max-users --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --bounces-per-hour --bounces-action" ;;
        "account domain defaults propagate") words="--json --field --all --domain --dry-run --yes" ;;
        "account user") words="add set show list remove enable disable receiving defaults password drop connections logins history contain uncontain" ;;
        "account user add") words="--json --name --keep-copy --no-keep-copy --mailbox-mb --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --spam-filter --spam-low --spam-medium --spam-high --send-as --password --admin --domain-admin --forward-to" ;;
        "account user set") words="--json --name --keep-copy --no-keep-copy --mailbox-mb --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --spam-filter --spam-low --spam-medium --spam-high --send-as --admin --domain-admin --forward-to --plain --no-forward" ;;
        "account user show") words="--json" ;;
        "account user list") words="--json --domain" ;;
        "account user remove") words="--json" ;;
        "account user enable") words="--json" ;;
        "account user disable") words="--json" ;;
        "account user receiving") words="--json" ;;
        "account user defaults") words="show set propagate" ;;
        "account user defaults show") words="--json" ;;
        "account user defaults set") words="--json --mailbox-mb --max-message-kb --max-recipients --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action" ;;
        "account user defaults propagate") words="--json --field --all --domain --user --dry-run --yes" ;;
        "account user password") words="--json --password" ;;
        "account user drop") words="--json" ;;
        "account user connections") words="--json --user --ip" ;;
        "account user logins") words="--json" ;;
        "account user history") words="--json" ;;
        "account user contain") words="--json --password" ;;
        "account user uncontain") words="--json --old-password" ;;
        "account alias") words="add set show list remove enable disable" ;;
        "account alias add") words="--json --description --to" ;;
        "account alias set") words="--json --description --to" ;;
        "account alias show") words="--json" ;;
        "account alias list") words="--json --domain" ;;
        "account alias remove") words="--json" ;;
        "account alias enable") words="--json" ;;
        "account alias disable") words="--json" ;;
        "account list") words="add set show list remove enable disable member" ;;
        "account list add") words="--json --posting --subject-prefix --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --description --member --owner" ;;
        "account list set") words="--json --posting --subject-prefix --messages-per-hour --messages-action --bandwidth-per-hour --bandwidth-action --recipients-per-hour --recipients-action --description --owner" ;;
        "account list show") words="--json" ;;
        "account list list") words="--json --domain" ;;
        "account list remove") words="--json" ;;
        "account list enable") words="--json" ;;
        "account list disable") words="--json" ;;
        "account list member") words="add remove list" ;;
        "account list member add") words="--json" ;;
        "account list member remove") words="--json" ;;
        "account list member list") words="--json" ;;
        "account import") words="--format --kind --update --dry-run --quiet --json" ;;
        "account export") words="--format --output --domain --no-passwords --json" ;;
        "allow") words="add remove list" ;;
        "allow add") words="--json --protocol --auth-bypass --no-auth-bypass --spam-bypass --no-spam-bypass --login-bypass --no-login-bypass --description" ;;
        "allow remove") words="--json" ;;
        "allow list") words="--json" ;;
        "backup") words="--without-maildirs --keep --copy --quiet --json" ;;
        "block") words="ip sender domain ehlo login" ;;
        "block ip") words="add remove list" ;;
        "block ip add") words="--json --protocol --description --until --dry-run" ;;
        "block ip remove") words="--json --dry-run" ;;
        "block ip list") words="--json --protocol" ;;
        "block sender") words="add remove list" ;;
        "block sender add") words="--json --direction --dry-run --description" ;;
        "block sender remove") words="--json --direction --dry-run" ;;
        "block sender list") words="--json --direction" ;;
        "block domain") words="add remove list" ;;
        "block domain add") words="--json --direction --dry-run --description" ;;
        "block domain remove") words="--json --direction --dry-run" ;;
        "block domain list") words="--json --direction" ;;
        "block ehlo") words="add remove list" ;;
        "block ehlo add") words="--json --direction --dry-run --description" ;;
        "block ehlo remove") words="--json --direction --dry-run" ;;
        "block ehlo list") words="--json --direction" ;;
        "block login") words="list release" ;;
        "block login list") words="--json" ;;
        "block login release") words="--json --dry-run" ;;
        "check") words="--tag --list-tags --deploy --fail-level --database --json --mark --only-wrong" ;;
        "firstadmin") words="--json --show-password" ;;
        "quarantine") words="list show resend rescan delete move purge export greylist" ;;
        "quarantine list") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --sort --limit --json" ;;
        "quarantine show") words="--json" ;;
        "quarantine resend") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --all --background --trust --learn --dry-run --yes --json" ;;
        "quarantine rescan") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --all --background --dry-run --yes --json" ;;
        "quarantine delete") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --all --background --learn --dry-run --yes --json" ;;
        "quarantine move") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --all --background --folder --dry-run --yes --json" ;;
        "quarantine purge") words="--kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --all --background --dry-run --yes --json" ;;
        "quarantine export") words="--format --all --output --kind --sender --recipient --ip --auth-user --id --message-id --subject --direction --larger --smaller --why --min-score --older --younger --search --json" ;;
        "quarantine greylist") words="--forget --forget-all --limit --json" ;;
        "restore") words="--hold --dry-run --without-damaged --quiet --json" ;;
        "scan") words="--sender --recipient --ip --ehlo --outbound --json" ;;
        "scheduler") words="" ;;
        "send") words="--from --to --subject --body --eml --host --port --user --password --json" ;;
        "settings") words="--json list get set" ;;
        "settings list") words="--json" ;;
        "settings get") words="--json" ;;
        "settings set") words="--json" ;;
        "smtpd") words="--socket" ;;
        "spool") words="list show stats audit jobs doctor force reset priority hold release delete move redirect resend empty-trash undo put-back export import" ;;
        "spool list") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --sort --limit --json" ;;
        "spool show") words="--json" ;;
        "spool stats") words="--traffic --limit --json" ;;
        "spool audit") words="--actor --limit --json" ;;
        "spool jobs") words="--limit --cancel --json" ;;
        "spool doctor") words="--mend --json" ;;
        "spool force") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool reset") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool priority") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json low normal high" ;;
        "spool hold") words="--reason --until --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool release") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool delete") words="--bounce --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool move") words="--folder --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool redirect") words="--to --next-hop --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool resend") words="--to --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool empty-trash") words="--sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --dry-run --yes --background --all --json" ;;
        "spool undo") words="--dry-run --yes --background --json" ;;
        "spool put-back") words="--dry-run --yes --json" ;;
        "spool export") words="--format --output --all --sender --sender-domain --recipient --mailbox --domain --ip --auth-user --id --message-id --subject --status --direction --priority --older --younger --larger --smaller --min-attempts --max-attempts --error --error-group --hold --next-within --search --json" ;;
        "spool import") words="--hold --move --dry-run --quiet --json" ;;
        "throttle") words="list release set" ;;
        "throttle list") words="--domain --kind --history --json" ;;
        "throttle release") words="--dry-run --json" ;;
        "throttle set") words="--messages-per-hour --bandwidth-per-hour --recipients-per-hour --bounces-per-hour --action --dry-run --json" ;;
        *) return 1 ;;
    esac
}

_mailspool_values() {
    case "$1" in
        "account --verbosity") words="0 1 2 3" ;;
        "account domain add --messages-action") words="none delay reject" ;;
        "account domain add --bandwidth-action") words="none delay reject" ;;
        "account domain add --recipients-action") words="none delay reject" ;;
        "account domain add --bounces-action") words="none delay reject" ;;
        "account domain set --messages-action") words="none delay reject" ;;
        "account domain set --bandwidth-action") words="none delay reject" ;;
        "account domain set --recipients-action") words="none delay reject" ;;
        "account domain set --bounces-action") words="none delay reject" ;;
        "account domain defaults set --messages-action") words="none delay reject" ;;
        "account domain defaults set --bandwidth-action") words="none delay reject" ;;
        "account domain defaults set --recipients-action") words="none delay reject" ;;
        "account domain defaults set --bounces-action") words="none delay reject" ;;
        "account domain defaults propagate --field") words="max_users max_message_kb max_recipients messages_per_hour messages_action bandwidth_mb_per_hour bandwidth_action recipients_per_hour recipients_action bounces_per_hour bounces_action" ;;
        "account user add --messages-action") words="none delay reject" ;;
        "account user add --bandwidth-action") words="none delay reject" ;;
        "account user add --recipients-action") words="none delay reject" ;;
        "account user set --messages-action") words="none delay reject" ;;
        "account user set --bandwidth-action") words="none delay reject" ;;
        "account user set --recipients-action") words="none delay reject" ;;
        "account user defaults set --messages-action") words="none delay reject" ;;
        "account user defaults set --bandwidth-action") words="none delay reject" ;;
        "account user defaults set --recipients-action") words="none delay reject" ;;
        "account user defaults propagate --field") words="mailbox_mb max_message_kb max_recipients messages_per_hour messages_action bandwidth_mb_per_hour bandwidth_action recipients_per_hour recipients_action" ;;
        "account list add --posting") words="anyone members owner" ;;
        "account list add --messages-action") words="none delay reject" ;;
        "account list add --bandwidth-action") words="none delay reject" ;;
        "account list add --recipients-action") words="none delay reject" ;;
        "account list set --posting") words="anyone members owner" ;;
        "account list set --messages-action") words="none delay reject" ;;
        "account list set --bandwidth-action") words="none delay reject" ;;
        "account list set --recipients-action") words="none delay reject" ;;
        "account import --format") words="csv json passwd" ;;
        "account import --kind") words="domain defaults user alias list member" ;;
        "account export --format") words="csv json" ;;
        "allow --verbosity") words="0 1 2 3" ;;
        "allow add --protocol") words="smtp web" ;;
        "backup --verbosity") words="0 1 2 3" ;;
        "block --verbosity") words="0 1 2 3" ;;
        "block ip add --protocol") words="smtp web" ;;
        "block ip list --protocol") words="smtp web" ;;
        "block sender add --direction") words="inbound outbound both" ;;
        "block sender remove --direction") words="inbound outbound both" ;;
        "block sender list --direction") words="inbound outbound" ;;
        "block domain add --direction") words="inbound outbound both" ;;
        "block domain remove --direction") words="inbound outbound both" ;;
        "block domain list --direction") words="inbound outbound" ;;
        "block ehlo add --direction") words="inbound outbound both" ;;
        "block ehlo remove --direction") words="inbound outbound both" ;;
        "block ehlo list --direction") words="inbound outbound" ;;
        "check --verbosity") words="0 1 2 3" ;;
        "check --fail-level") words="CRITICAL ERROR WARNING INFO DEBUG" ;;
        "check --database") words="default" ;;
        "firstadmin --verbosity") words="0 1 2 3" ;;
        "quarantine --verbosity") words="0 1 2 3" ;;
        "quarantine list --kind") words="spam virus" ;;
        "quarantine list --direction") words="inbound outbound" ;;
        "quarantine list --sort") words="id -id file_name -file_name sender -sender recipients_total -recipients_total size_bytes -size_bytes attempts -attempts removal -removal" ;;
        "quarantine resend --kind") words="spam virus" ;;
        "quarantine resend --direction") words="inbound outbound" ;;
        "quarantine rescan --kind") words="spam virus" ;;
        "quarantine rescan --direction") words="inbound outbound" ;;
        "quarantine delete --kind") words="spam virus" ;;
        "quarantine delete --direction") words="inbound outbound" ;;
        "quarantine move --kind") words="spam virus" ;;
        "quarantine move --direction") words="inbound outbound" ;;
        "quarantine purge --kind") words="spam virus" ;;
        "quarantine purge --direction") words="inbound outbound" ;;
        "quarantine export --format") words="csv json" ;;
        "quarantine export --kind") words="spam virus" ;;
        "quarantine export --direction") words="inbound outbound" ;;
        "restore --verbosity") words="0 1 2 3" ;;
        "scan --verbosity") words="0 1 2 3" ;;
        "scheduler --verbosity") words="0 1 2 3" ;;
        "send --verbosity") words="0 1 2 3" ;;
        "settings --verbosity") words="0 1 2 3" ;;
        "smtpd --verbosity") words="0 1 2 3" ;;
        "spool --verbosity") words="0 1 2 3" ;;
        "spool list --status") words="delay virus spam throttled local remote waiting" ;;
        "spool list --direction") words="inbound outbound" ;;
        "spool list --priority") words="low normal high" ;;
        "spool list --hold") words="yes no" ;;
        "spool list --sort") words="id -id file_name -file_name sender -sender size_bytes -size_bytes attempts -attempts next_attempt -next_attempt priority -priority status -status" ;;
        "spool force --status") words="delay virus spam throttled local remote waiting" ;;
        "spool force --direction") words="inbound outbound" ;;
        "spool force --priority") words="low normal high" ;;
        "spool force --hold") words="yes no" ;;
        "spool reset --status") words="delay virus spam throttled local remote waiting" ;;
        "spool reset --direction") words="inbound outbound" ;;
        "spool reset --priority") words="low normal high" ;;
        "spool reset --hold") words="yes no" ;;
        "spool priority --status") words="delay virus spam throttled local remote waiting" ;;
        "spool priority --direction") words="inbound outbound" ;;
        "spool priority --priority") words="low normal high" ;;
        "spool priority --hold") words="yes no" ;;
        "spool hold --status") words="delay virus spam throttled local remote waiting" ;;
        "spool hold --direction") words="inbound outbound" ;;
        "spool hold --priority") words="low normal high" ;;
        "spool hold --hold") words="yes no" ;;
        "spool release --status") words="delay virus spam throttled local remote waiting" ;;
        "spool release --direction") words="inbound outbound" ;;
        "spool release --priority") words="low normal high" ;;
        "spool release --hold") words="yes no" ;;
        "spool delete --status") words="delay virus spam throttled local remote waiting" ;;
        "spool delete --direction") words="inbound outbound" ;;
        "spool delete --priority") words="low normal high" ;;
        "spool delete --hold") words="yes no" ;;
        "spool move --status") words="delay virus spam throttled local remote waiting" ;;
        "spool move --direction") words="inbound outbound" ;;
        "spool move --priority") words="low normal high" ;;
        "spool move --hold") words="yes no" ;;
        "spool redirect --status") words="delay virus spam throttled local remote waiting" ;;
        "spool redirect --direction") words="inbound outbound" ;;
        "spool redirect --priority") words="low normal high" ;;
        "spool redirect --hold") words="yes no" ;;
        "spool resend --status") words="delay virus spam throttled local remote waiting" ;;
        "spool resend --direction") words="inbound outbound" ;;
        "spool resend --priority") words="low normal high" ;;
        "spool resend --hold") words="yes no" ;;
        "spool empty-trash --status") words="delay virus spam throttled local remote waiting" ;;
        "spool empty-trash --direction") words="inbound outbound" ;;
        "spool empty-trash --priority") words="low normal high" ;;
        "spool empty-trash --hold") words="yes no" ;;
        "spool export --format") words="zip mbox csv json folder" ;;
        "spool export --status") words="delay virus spam throttled local remote waiting" ;;
        "spool export --direction") words="inbound outbound" ;;
        "spool export --priority") words="low normal high" ;;
        "spool export --hold") words="yes no" ;;
        "throttle --verbosity") words="0 1 2 3" ;;
        "throttle list --kind") words="user list domain ip" ;;
        "throttle set --action") words="none delay reject" ;;
        *) return 1 ;;
    esac
}

complete -o default -F _mailspool mailspool manage.py ./manage.py
