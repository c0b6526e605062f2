"""What the bot answers in Telegram."""
import database
import training

HELP = (
    "I keep your hockey training log.\n"
    "/train <what> <minutes>: store a training, for example /train stick handling 30\n"
    "/stats: your trainings so far\n"
    "/help: this text"
)


def answer(connection, update_id, sender_id, player, text):
    """Do what a message asks for and return the reply."""
    command, _, rest = text.partition(" ")
    command = command.partition("@")[0].lower()  # in groups: /train@the_bot
    if command == "/start":
        return f"Hello {player}!\n{HELP}"
    if command == "/help":
        return HELP
    if command == "/stats":
        sums = database.totals(connection, sender_id)
        return f"So far: {sums['trainings']} trainings, {sums['minutes']} minutes."
    if command == "/train":
        what, _, minutes = rest.rpartition(" ")
        try:
            done = training.parse(player, what, minutes)
        except ValueError as error:
            return f"Sorry, {error}\nTry: /train <what> <minutes>"
        database.add_training(connection, done, sender_id, update_id)
        return f"Stored: {done.what}, {done.minutes} minutes. Well done!"
    return "Thank you, noted. I understand /train, /stats and /help."
